-- The first time between two at which a number of jobs in a state, or of all for state 0, compares
-- so, in valid time; the last event of then that changed the number; and the number. A moment on
-- this clock is after all that occurred then. start is how many there were at the first; comparison
-- is rendered.
WITH entered AS (
    SELECT position, occurred_from AS time,
           CASE %(state)s WHEN 0 THEN (occurred_state > 0)::integer - (coalesce(occurred_before, 0) > 0)::integer
                ELSE (occurred_state = %(state)s)::integer - (coalesce(occurred_before, 0) = %(state)s)::integer
           END AS change
    FROM intervals
    WHERE occurred_from > %(from_time)s AND occurred_from <= %(to_time)s AND position <= %(to_position)s
),
counted AS (
    SELECT time, %(start)s + sum(change) OVER (ORDER BY time) AS jobs FROM entered WHERE change <> 0
),
found AS (
    SELECT time, jobs FROM counted WHERE jobs {comparison} %(number)s ORDER BY time LIMIT 1
)
SELECT (
    SELECT max(position)
    FROM (
        SELECT max(i.position) AS position
        FROM entered AS i JOIN events AS e ON e.position = i.position
        WHERE i.time = found.time AND i.change <> 0
        GROUP BY e.name HAVING sum(i.change) <> 0
    ) AS changed
), jobs, time
FROM found
