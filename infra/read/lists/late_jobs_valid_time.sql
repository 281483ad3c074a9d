-- Jobs as of a valid time, as far as was known at a position, that were created after that time but began
-- otherwise, or have a late report that was put before. columns and condition are rendered.
SELECT {columns}
FROM (
    SELECT j.name, j.project, j.kind, j.create_time AS created, etag(j.name, was.version) AS etag, was.*
    FROM late_jobs AS late JOIN (SELECT * FROM {jobs}) AS j ON j.name = late.name,
         LATERAL job_row_as_it_happened(j.name, %(position)s, %(time)s) AS was
    WHERE j.first_position <= %(position)s AND j.create_time > %(time)s AND EXISTS (
        SELECT FROM events AS early
        WHERE early.name = j.name AND least(early.occurred_time, early.recorded_time) <= %(time)s
          AND (is_placed(early.schema) OR early.version = 1 AND early.type <> 'Created')
    )
) AS jobs
WHERE delete_time IS NULL AND {condition}
