-- The state changes of chosen jobs in buckets of valid time, as far as was known at a position:
-- how many jobs came into each state less those that left it, and how many came into it.
-- Bucket null is everything before the first. The statement of the jobs' names is rendered.
WITH chosen AS MATERIALIZED ({chosen}),
entered AS (
    SELECT e.name, e.version, e.type, i.occurred_from,
           least(placed_after(e.version, e.schema, e.data), e.version) AS place
    FROM chosen JOIN events AS e ON e.name = chosen.name JOIN intervals AS i ON i.position = e.position
    WHERE e.position <= %(until)s
),
settled AS (
    SELECT name, version, place, occurred_from,
           CASE WHEN min(state_number(type)) OVER (
               PARTITION BY name ORDER BY occurred_from, place, version ROWS UNBOUNDED PRECEDING
           ) = 0 THEN 0::smallint ELSE state_number(type) END AS state
    FROM entered
),
linked AS (
    SELECT occurred_from, state,
           lag(state) OVER (PARTITION BY name ORDER BY occurred_from, place, version) AS before
    FROM settled
)
SELECT CASE WHEN l.occurred_from >= to_timestamp(%(begin)s)
            THEN floor(extract(epoch FROM l.occurred_from))::bigint / %(width)s END AS bucket,
       state_name(change.state), sum(change.change)::bigint, count(*) FILTER (WHERE change.change > 0)
FROM linked AS l, LATERAL (VALUES (l.state, 1), (l.before, -1)) AS change (state, change)
WHERE l.occurred_from < to_timestamp(%(end)s) AND change.state > 0
GROUP BY 1, 2
ORDER BY 1 NULLS FIRST
