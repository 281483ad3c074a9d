-- How many jobs came into each state, less those that left it, in buckets of valid time:
-- as far as was known at a position. Bucket null is everything before the first.
WITH followed AS (
    SELECT position FROM projections WHERE name = 'intervals'
),
-- Changes known only after that position are subtracted; all of late jobs, as their events may have moved.
late AS (
    SELECT e.name, e.version, least(placed_after(e.version, e.schema, e.data), e.version) AS place, e.position, e.type, i.occurred_from, i.occurred_state, i.occurred_before
    FROM late_jobs AS l JOIN events AS e ON e.name = l.name JOIN intervals AS i ON i.position = e.position
    WHERE (SELECT position FROM followed) > %(position)s
),
steps AS (
    SELECT occurred_from, state,
           lag(state) OVER (PARTITION BY name ORDER BY occurred_from, place, version) AS before
    FROM (
        SELECT name, version, place, occurred_from,
               CASE WHEN min(state_number(type)) OVER (
                   PARTITION BY name ORDER BY occurred_from, place, version ROWS UNBOUNDED PRECEDING
               ) = 0 THEN 0::smallint ELSE state_number(type) END AS state
        FROM late WHERE position <= %(position)s
    ) AS settled
),
corrected AS (
    SELECT extract(epoch FROM c.bin)::bigint / %(width)s AS bucket, change.state, c.times * change.change AS change
    FROM (
        -- Summed first, as an old link subtracts many rows.
        SELECT CASE WHEN occurred_from >= to_timestamp(%(begin)s)
                    THEN date_bin(make_interval(secs => %(width)s), occurred_from, to_timestamp(0)) END AS bin,
               state, before, sum(factor) AS times
        FROM (
            SELECT occurred_from, occurred_state AS state, occurred_before AS before, -1 AS factor
            FROM intervals WHERE position > %(position)s
            UNION ALL
            SELECT occurred_from, occurred_state, occurred_before, -1 FROM late WHERE position <= %(position)s
            UNION ALL
            SELECT occurred_from, state, before, 1 FROM steps
        ) AS all_of_it
        WHERE occurred_from < to_timestamp(%(end)s)
        GROUP BY bin, state, before
    ) AS c, LATERAL (VALUES (c.state, 1), (c.before, -1)) AS change (state, change)
    WHERE change.state IS NOT NULL
),
counted AS (
    SELECT NULL::bigint AS bucket, state_number AS state, jobs AS change
    FROM states_as_they_happened(to_timestamp(%(begin)s) - interval '1 microsecond') AS before,
         LATERAL (SELECT array_position(state_names(), before.state) - 1 AS state_number) AS number
    UNION ALL
    SELECT (stretch << (6 * %(level)s)) / %(width)s, state, change
    FROM state_changes
    WHERE clock = 2 AND level = %(level)s
      AND stretch >= %(begin)s >> (6 * %(level)s) AND stretch < %(end)s >> (6 * %(level)s)
    UNION ALL
    SELECT floor(extract(epoch FROM i.occurred_from))::bigint / %(width)s, change.state, change.change
    FROM intervals AS i,
         LATERAL (VALUES (i.occurred_state, 1), (i.occurred_before, -1)) AS change (state, change)
    WHERE %(level)s = 0 AND change.state IS NOT NULL
      AND i.occurred_from >= to_timestamp(%(begin)s) AND i.occurred_from < to_timestamp(%(end)s)
    UNION ALL
    SELECT bucket, state, change FROM corrected
)
SELECT bucket, state_name(state::smallint), sum(change)::bigint
FROM counted WHERE state > 0
GROUP BY bucket, state HAVING sum(change) <> 0
ORDER BY bucket NULLS FIRST
