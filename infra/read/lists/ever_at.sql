-- Whether a condition was ever true of a job after one of its events, as the ledger knew it.
-- upto and condition are rendered (see filter_sql.py).
EXISTS (
    SELECT FROM (
        SELECT p.position, p.occurred_time, p.name, jobs.project, jobs.kind,
               etag(p.name, was.version) AS etag, was.*
        FROM events AS p, LATERAL job_row_at(p.name, p.position) AS was
        WHERE p.name = jobs.name
    ) AS past
    WHERE {upto} AND {condition}
)
