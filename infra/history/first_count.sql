-- The first position between two after which a number of jobs in a state, or of all for state 0,
-- compares so, and the number. start is how many there were at the first; comparison is rendered.
SELECT position, jobs
FROM (
    SELECT position, %(start)s + sum(change) OVER (ORDER BY position) AS jobs
    FROM (
        SELECT position,
               CASE %(state)s WHEN 0 THEN (state > 0)::integer - (coalesce(state_before, 0) > 0)::integer
                    ELSE (state = %(state)s)::integer - (coalesce(state_before, 0) = %(state)s)::integer
               END AS change
        FROM intervals
        WHERE position > %(from_position)s AND position <= %(to_position)s
    ) AS entered
    WHERE change <> 0
) AS counted
WHERE jobs {comparison} %(number)s
ORDER BY position
LIMIT 1
