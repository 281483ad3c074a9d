-- How many jobs of one project came into each state, less those that left it, in buckets of
-- valid time, as far as was known at a position. Bucket null is everything before the first.
WITH late AS (
    SELECT e.name, e.version, least(placed_after(e.version, e.schema, e.data), e.version) AS place, e.type, i.occurred_from, i.occurred_state, i.occurred_before
    FROM late_jobs AS l JOIN events AS e ON e.name = l.name JOIN intervals AS i ON i.position = e.position
    WHERE l.name >= %(first)s AND l.name < %(beyond)s AND e.position <= %(position)s
),
-- Late jobs are folded again: their events may have other places now than at the position.
steps AS (
    SELECT occurred_from, state,
           lag(state) OVER (PARTITION BY name ORDER BY occurred_from, place, version) AS before
    FROM (
        SELECT name, version, place, occurred_from,
               CASE WHEN min(state_number(type)) OVER (
                   PARTITION BY name ORDER BY occurred_from, place, version ROWS UNBOUNDED PRECEDING
               ) = 0 THEN 0::smallint ELSE state_number(type) END AS state
        FROM late
    ) AS settled
),
counted AS (
    SELECT CASE WHEN occurred_from >= to_timestamp(%(begin)s)
                THEN date_bin(make_interval(secs => %(width)s), occurred_from, to_timestamp(0)) END AS bin,
           state, before, sum(factor) AS times
    FROM (
        SELECT i.occurred_from, i.occurred_state AS state, i.occurred_before AS before, 1 AS factor
        FROM events AS e JOIN intervals AS i ON i.position = e.position
        WHERE e.name >= %(first)s AND e.name < %(beyond)s AND i.position <= %(position)s
        UNION ALL
        SELECT occurred_from, occurred_state, occurred_before, -1 FROM late
        UNION ALL
        SELECT occurred_from, state, before, 1 FROM steps
    ) AS all_of_it
    WHERE occurred_from < to_timestamp(%(end)s)
    GROUP BY bin, state, before
)
SELECT extract(epoch FROM bin)::bigint / %(width)s AS bucket, state_name(change.state), sum(times * change.change)::bigint
FROM counted, LATERAL (VALUES (counted.state, 1), (counted.before, -1)) AS change (state, change)
WHERE change.state > 0
GROUP BY bucket, change.state HAVING sum(times * change.change) <> 0
ORDER BY bucket NULLS FIRST
