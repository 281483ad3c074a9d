-- The state changes of chosen jobs in buckets of positions: how many jobs came into each state less
-- those that left it, and how many came into it. Bucket null is everything before the first.
-- The statement of the jobs' names is rendered.
WITH chosen AS MATERIALIZED ({chosen})
SELECT CASE WHEN i.position >= %(begin)s THEN i.position / %(width)s END AS bucket,
       state_name(change.state), sum(change.change)::bigint,
       count(*) FILTER (WHERE change.change > 0 AND i.state IS DISTINCT FROM i.state_before)
FROM chosen JOIN events AS e ON e.name = chosen.name JOIN intervals AS i ON i.position = e.position,
     LATERAL (VALUES (i.state, 1), (i.state_before, -1)) AS change (state, change)
WHERE e.position < %(end)s AND change.state > 0
GROUP BY 1, 2
ORDER BY 1 NULLS FIRST
