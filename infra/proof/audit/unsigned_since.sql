-- When the first event after so many was recorded, as a POSIX time; no row if there is none.
SELECT extract(epoch FROM recorded_time)::float8 FROM events WHERE position > %(size)s ORDER BY position LIMIT 1
