-- When the event at a position was recorded; if it was pruned, the one before it.
SELECT recorded_time FROM events WHERE position <= %s ORDER BY position DESC LIMIT 1
