-- The place of the last of so many jobs in the order of a list; no row if there are fewer.
SELECT coalesce(create_time, '-infinity')::text, name FROM jobs
WHERE coalesce(create_time, '-infinity') <= %(created)s AND (coalesce(create_time, '-infinity') < %(created)s OR name > %(name)s)
ORDER BY coalesce(create_time, '-infinity') DESC, name OFFSET %(limit)s - 1 LIMIT 1
