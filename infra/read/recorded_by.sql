(SELECT recorded_time FROM events WHERE position <= {position} ORDER BY position DESC LIMIT 1)
