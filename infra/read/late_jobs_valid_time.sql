-- Jobs whose reports came late as of a valid time, as far as was known at a position:
-- all of them are folded, as their order is another one. columns and condition are rendered.
SELECT {columns}
FROM (
    SELECT j.name, j.project, j.kind, coalesce(j.create_time, '-infinity') AS created,
           etag(j.name, was.version) AS etag, was.*
    FROM late_jobs AS late JOIN (SELECT * FROM {jobs}) AS j ON j.name = late.name,
         LATERAL job_row_as_it_happened(j.name, %(position)s, %(time)s) AS was
    WHERE j.first_position <= %(position)s
) AS jobs
WHERE delete_time IS NULL AND {condition}
