-- How many jobs came into each state, less those that left it, in buckets of positions after a
-- first one; bucket null is everything before. Each bucket has the recorded time of its last event.
WITH counted AS (
    SELECT NULL::bigint AS bucket, before.state, jobs AS change FROM states_at(%(begin)s - 1) AS before
    UNION ALL
    SELECT (stretch << (2 + 6 * %(level)s)) / %(width)s, state_name(state), change
    FROM state_changes
    WHERE clock = 1 AND level = %(level)s
      AND stretch >= %(begin)s >> (2 + 6 * %(level)s) AND stretch < %(end)s >> (2 + 6 * %(level)s)
      AND state > 0
    UNION ALL
    SELECT i.position / %(width)s, state_name(change.state), change.change
    FROM intervals AS i, LATERAL (VALUES (i.state, 1), (i.state_before, -1)) AS change (state, change)
    WHERE i.position >= CASE WHEN %(level)s = 0 THEN %(begin)s ELSE (%(end)s >> (2 + 6 * %(level)s)) << (2 + 6 * %(level)s) END
      AND i.position < %(end)s AND change.state > 0
)
SELECT bucket, state, sum(change)::bigint
FROM counted
GROUP BY bucket, state HAVING sum(change) <> 0
ORDER BY bucket NULLS FIRST
