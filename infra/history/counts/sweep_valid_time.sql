-- Goes through the next events in valid time up to a time, as far as was known at a position, and counts the
-- jobs that match a condition after each time: returns the last time, the number there, and the last
-- event that changed the number at the first time it meets the comparison, the number, and that time.
-- `which` selects the jobs; all in braces is rendered.
WITH swept AS MATERIALIZED (
    SELECT name, time, max(position) AS position
    FROM (
        SELECT name, time, position
        FROM (
            SELECT name, occurred_time AS time, position FROM events
            WHERE {which} AND schema > 0 AND name NOT IN (SELECT name FROM late_jobs)
            UNION ALL
            SELECT late.name, e.effective, e.position
            FROM (SELECT name FROM late_jobs WHERE {which}) AS late, job_effects(late.name) AS e
        ) AS every
        WHERE position + 0 <= %(to_position)s AND time > %(after)s AND time <= %(to_time)s
        ORDER BY time
        FETCH FIRST (%(most)s) ROWS WITH TIES
    ) AS e
    GROUP BY name, time
),
steps AS MATERIALIZED (
    SELECT step.position, step.time, step.name, (
        SELECT delete_time IS NULL AND {condition}
        FROM (SELECT j.name, j.project, j.kind, etag(j.name, at.version) AS etag, at.*
              FROM jobs AS j, job_row_as_it_happened(step.name, %(to_position)s, step.time) AS at
              WHERE j.name = step.name) AS jobs
    ) AS matches
    FROM swept AS step
    OFFSET 0
),
changes AS (
    SELECT position, time, coalesce(matches, false)::integer - coalesce(
        CASE WHEN lag(time) OVER job IS NOT NULL THEN lag(matches) OVER job
             ELSE (
                SELECT delete_time IS NULL AND {condition}
                FROM (SELECT t.time - interval '1 microsecond' AS time) AS step, LATERAL (
                    SELECT j.name, j.project, j.kind, etag(j.name, at.version) AS etag, at.*
                    FROM jobs AS j, job_row_as_it_happened(t.name, %(to_position)s, step.time) AS at
                    WHERE j.name = t.name
                ) AS jobs
             ) END, false)::integer AS change
    FROM steps AS t
    WINDOW job AS (PARTITION BY name ORDER BY time)
),
counted AS (
    SELECT position, time, change, %(start)s + sum(change) OVER (ORDER BY time) AS jobs FROM changes
),
found AS (
    SELECT position, time, jobs FROM counted
    WHERE change <> 0 AND jobs {comparison} %(number)s ORDER BY time, position DESC LIMIT 1
),
last AS (
    SELECT time, jobs FROM counted ORDER BY time DESC LIMIT 1
)
SELECT last.time, last.jobs, found.position, found.jobs, found.time FROM last LEFT JOIN found ON true
