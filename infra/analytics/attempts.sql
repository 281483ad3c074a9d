-- How many attempts the jobs that ended took, and how they ended: in valid time up to a time, as
-- far as was known at a position. A row of `jobs` that changed later, or whose reports
-- came late, is folded from its events. group and condition are rendered.
SELECT ({group})::text AS group_, attempt, state, count(*)
FROM (
    SELECT j.name, j.project, j.kind, etag(j.name, was.version) AS etag, was.*
    FROM (
        SELECT jobs.*, late.name IS NULL AND last_position <= %(position)s AND update_time <= %(time)s AS as_now
        FROM jobs LEFT JOIN late_jobs AS late ON late.name = jobs.name
        WHERE first_position <= %(position)s
    ) AS j, LATERAL (
        SELECT j.state, j.version, j.attempt, j.create_time, j.start_time, j.end_time,
               j.update_time, j.effective_time, j.delete_time, j.error, j.error_message, j.labels, j.spec, j.output, j.run_ids, j.lineage
        WHERE j.as_now
        UNION ALL
        SELECT * FROM job_row_as_it_happened(j.name, %(position)s, %(time)s) WHERE NOT j.as_now
    ) AS was
) AS jobs
-- By a clock that is behind, a job may end before it was created or started.
WHERE end_time IS NOT NULL AND greatest(create_time, start_time, end_time) >= %(begin)s
  AND greatest(create_time, start_time, end_time) < %(end)s AND {condition}
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
