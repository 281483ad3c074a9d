-- How many jobs of one project came into each state, less those that left it, in buckets of time as
-- it happened: as far as was known at a position. Bucket null is whatever came before the first.
WITH told AS (
    SELECT occurred_from, state,
           lag(state) OVER (PARTITION BY name ORDER BY occurred_from, version) AS before
    FROM (
        SELECT e.name, e.version, i.occurred_from,
               CASE WHEN min(state_number(e.type)) OVER (
                   PARTITION BY e.name ORDER BY i.occurred_from, e.version ROWS UNBOUNDED PRECEDING
               ) = 0 THEN 0::smallint ELSE state_number(e.type) END AS state
        FROM events AS e JOIN intervals AS i ON i.position = e.position
        WHERE e.name >= %(first)s AND e.name < %(beyond)s AND e.position <= %(position)s
    ) AS settled
),
counted AS (
    SELECT floor(extract(epoch FROM t.occurred_from))::bigint AS second, change.state, change.change
    FROM told AS t, LATERAL (VALUES (t.state, 1), (t.before, -1)) AS change (state, change)
    WHERE change.state > 0
)
SELECT CASE WHEN second >= %(begin)s THEN second / %(width)s END AS bucket,
       state_name(state::smallint), sum(change)::bigint
FROM counted WHERE second < %(end)s
GROUP BY bucket, state HAVING sum(change) <> 0
ORDER BY bucket NULLS FIRST
