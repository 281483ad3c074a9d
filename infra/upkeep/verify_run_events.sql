-- What runs of evaluation jobs recorded about other rows, and whether any such row of the job is there;
-- jobs by jobs_evaluating, events by events_version.
SELECT j.rows, position, e.name, version, type, schema, occurred_time, recorded_time, actor, request_id, trace_parent, data
FROM (
    SELECT name, EXISTS (SELECT FROM sampling WHERE job = name) OR EXISTS (SELECT FROM samples WHERE job = name)
        OR EXISTS (SELECT FROM answers WHERE job = name) OR EXISTS (SELECT FROM evaluations WHERE job = name) AS rows
    FROM jobs WHERE kind = 'evaluationJobs'
) AS j JOIN events AS e ON e.name = j.name
WHERE schema > 0 AND type = ANY (%s)
ORDER BY e.name, version
