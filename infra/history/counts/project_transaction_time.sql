-- How many jobs of one project came into each state, less those that left it, in buckets of
-- positions after a first one; bucket null is everything before.
SELECT CASE WHEN i.position >= %(begin)s THEN i.position / %(width)s END AS bucket,
       state_name(change.state), sum(change.change)::bigint
FROM events AS e JOIN intervals AS i ON i.position = e.position,
     LATERAL (VALUES (i.state, 1), (i.state_before, -1)) AS change (state, change)
WHERE e.name >= %(first)s AND e.name < %(beyond)s AND e.position < %(end)s AND change.state > 0
GROUP BY bucket, change.state HAVING sum(change.change) <> 0
ORDER BY bucket NULLS FIRST
