-- When the event at a position was recorded, or the last before it that is there.
SELECT recorded_time FROM events WHERE position <= %(position)s ORDER BY position DESC LIMIT 1
