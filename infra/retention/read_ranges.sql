-- The positions of all events of some jobs (parallel arrays of names and last positions), in ranges,
-- and the names; without jobs to which something happened since. Carried by events_version.
WITH over AS (
    SELECT j.name
    FROM unnest(%s::text[], %s::bigint[]) AS w (name, last_position)
    JOIN jobs AS j ON j.name = w.name COLLATE "C" AND j.last_position = w.last_position
),
islands AS (
    SELECT e.position, e.position - row_number() OVER (ORDER BY e.position) AS island
    FROM events AS e WHERE e.name IN (SELECT name FROM over)
)
SELECT min(position), max(position), (SELECT array_agg(name ORDER BY name) FROM over)
FROM islands GROUP BY island ORDER BY 1
