-- Those of some jobs (parallel arrays of names and last positions) to which nothing happened since.
SELECT j.name
FROM unnest(%s::text[], %s::bigint[]) AS w (name, last_position)
JOIN jobs AS j ON j.name = w.name COLLATE "C" AND j.last_position = w.last_position
ORDER BY j.name
