-- When the event at a position was recorded.
SELECT recorded_time FROM events WHERE position = %s
