-- Goes through the next events up to a position, and counts the jobs that match a condition
-- after each: returns the last position, the number there, and the first position after which the number
-- meets the comparison, with that number. `which` selects the jobs; all in braces is rendered.
WITH swept AS MATERIALIZED (
    SELECT position, name FROM events
    WHERE {which} AND schema > 0 AND position > %(after)s AND position <= %(to_position)s
    ORDER BY position
    LIMIT %(most)s
),
steps AS MATERIALIZED (
    SELECT step.position, step.name, (
        SELECT delete_time IS NULL AND {condition}
        FROM (SELECT j.name, j.project, j.kind, etag(j.name, at.version) AS etag, at.*
              FROM jobs AS j, job_row_at(step.name, step.position) AS at WHERE j.name = step.name) AS jobs
    ) AS matches
    FROM swept AS step
    OFFSET 0
),
changes AS (
    SELECT position, coalesce(matches, false)::integer - coalesce(
        CASE WHEN lag(position) OVER job IS NOT NULL THEN lag(matches) OVER job
             ELSE (
                SELECT delete_time IS NULL AND {condition}
                FROM (SELECT t.position - 1 AS position) AS step, LATERAL (
                    SELECT j.name, j.project, j.kind, etag(j.name, at.version) AS etag, at.*
                    FROM jobs AS j, job_row_at(t.name, step.position) AS at WHERE j.name = t.name
                ) AS jobs
             ) END, false)::integer AS change
    FROM steps AS t
    WINDOW job AS (PARTITION BY name ORDER BY position)
),
counted AS (
    SELECT position, %(start)s + sum(change) OVER (ORDER BY position) AS jobs FROM changes
),
found AS (
    SELECT position, jobs FROM counted WHERE jobs {comparison} %(number)s ORDER BY position LIMIT 1
),
last AS (
    SELECT position, jobs FROM counted ORDER BY position DESC LIMIT 1
)
SELECT last.position, last.jobs, found.position, found.jobs FROM last LEFT JOIN found ON true
