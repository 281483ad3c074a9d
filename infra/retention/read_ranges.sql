-- The positions of all events of some jobs, in ranges; carried by events_version.
WITH islands AS (
    SELECT e.position, e.position - row_number() OVER (ORDER BY e.position) AS island
    FROM events AS e WHERE e.name = ANY (%s)
)
SELECT min(position), max(position) FROM islands GROUP BY island ORDER BY 1
