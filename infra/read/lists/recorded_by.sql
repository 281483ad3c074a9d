-- When the last event up to a position was recorded.
(SELECT recorded_time FROM events WHERE position <= {position} ORDER BY position DESC LIMIT 1)
