-- The rows of so many jobs in the order of a list, from a place in it on.
(SELECT * FROM jobs
 WHERE coalesce(create_time, '-infinity') <= {created} AND (coalesce(create_time, '-infinity') < {created} OR name > {name})
 ORDER BY coalesce(create_time, '-infinity') DESC, name LIMIT {limit}) AS jobs
