-- The first event that was recorded after a time.
SELECT position FROM events WHERE recorded_time > %(time)s ORDER BY position LIMIT 1
