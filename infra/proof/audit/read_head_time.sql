-- The time that the next event would be recorded at the earliest, as text, if it is after another.
SELECT recorded_time::text FROM head WHERE recorded_time > %(time)s
