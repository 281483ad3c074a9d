-- Jobs as it happened up to a time, as far as was known at a position. One that nothing happened
-- to since is as its row says, unless its reports came late; the others are folded from their
-- events: those that came late all of them, as their order is another one. columns, condition
-- and tail are rendered.
(SELECT {columns}
FROM (
    SELECT j.name, j.project, j.kind, j.created, etag(j.name, was.version) AS etag, was.*
    FROM (SELECT *, coalesce(create_time, '-infinity') AS created FROM jobs) AS j, LATERAL (
        SELECT j.state, j.version, j.attempt, j.create_time, j.start_time, j.end_time,
               j.update_time, j.delete_time, j.error, j.error_message, j.labels, j.spec, j.output
        WHERE j.last_position <= %(position)s AND j.update_time <= %(time)s
        UNION ALL
        SELECT * FROM job_as_it_happened(j.name, %(position)s, %(time)s) WHERE NOT (j.last_position <= %(position)s AND j.update_time <= %(time)s)
    ) AS was
    WHERE j.first_position <= %(position)s AND j.created <= %(time)s
      AND NOT EXISTS (SELECT FROM late_jobs AS late WHERE late.name = j.name)
) AS jobs
WHERE delete_time IS NULL AND {condition} {tail})
UNION ALL
(SELECT {columns}
FROM (
    SELECT j.name, j.project, j.kind, coalesce(j.create_time, '-infinity') AS created,
           etag(j.name, was.version) AS etag, was.*
    FROM late_jobs AS late JOIN jobs AS j ON j.name = late.name,
         LATERAL job_as_it_happened(j.name, %(position)s, %(time)s) AS was
    WHERE j.first_position <= %(position)s
) AS jobs
WHERE delete_time IS NULL AND {condition})
