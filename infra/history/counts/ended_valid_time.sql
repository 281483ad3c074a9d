-- How many jobs entered each terminal state in buckets of valid time, as far as was known at a position.
WITH followed AS (
    SELECT position FROM projections WHERE name = 'intervals'
),
-- Reports after the position may have moved the intervals of jobs with late reports, so these are computed again.
late AS (
    SELECT e.name, e.version, least(placed_after(e.version, e.schema, e.data), e.version) AS place,
           e.position, i.occurred_from, i.occurred_state, e.type
    FROM late_jobs AS l JOIN events AS e ON e.name = l.name JOIN intervals AS i ON i.position = e.position
    WHERE (SELECT position FROM followed) > %(until)s AND e.position <= %(until)s
),
settled AS (
    SELECT occurred_from,
           CASE WHEN min(state_number(type)) OVER (
               PARTITION BY name ORDER BY occurred_from, place, version ROWS UNBOUNDED PRECEDING
           ) = 0 THEN 0::smallint ELSE state_number(type) END AS state
    FROM late
)
SELECT floor(extract(epoch FROM occurred_from))::bigint / %(width)s AS bucket, state_name(state), sum(factor)::bigint
FROM (
    SELECT occurred_from, occurred_state AS state, 1 AS factor FROM intervals WHERE position <= %(until)s
    UNION ALL
    SELECT occurred_from, occurred_state, -1 FROM late
    UNION ALL
    SELECT occurred_from, state, 1 FROM settled
) AS entered
WHERE occurred_from >= to_timestamp(%(begin)s) AND occurred_from < to_timestamp(%(end)s)
  AND state = ANY (%(terminal)s::smallint[])
GROUP BY 1, 2 HAVING sum(factor) <> 0
