-- Whether a condition was ever true of a job after one of its events, in valid time.
-- upto and condition are rendered (see filter_sql.py).
EXISTS (
    SELECT FROM (
        SELECT p.position, p.effective AS occurred_time, jobs.name, jobs.project, jobs.kind,
               etag(jobs.name, was.version) AS etag, was.*
        FROM job_effects(jobs.name) AS p, LATERAL job_row_as_it_happened(jobs.name, {position}, p.effective) AS was
    ) AS past
    WHERE {upto} AND {condition}
)
