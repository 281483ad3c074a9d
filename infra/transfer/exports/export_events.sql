-- Events of jobs up to a moment, all columns of rows.py, and when each took effect; which and order
-- are rendered. Schema 0 is of other aggregates than jobs: they have no occurred time, and need not be JSON.
SELECT e.position, e.name, e.version, e.type, e.schema, e.occurred_time, e.recorded_time, e.actor, e.request_id,
       e.trace_parent, e.data, coalesce(moved.effective, e.occurred_time)
FROM events AS e LEFT JOIN (
    SELECT of_job.position, of_job.effective, of_job.place FROM late_jobs AS late, job_effects(late.name) AS of_job
) AS moved ON moved.position = e.position
WHERE e.schema > 0 AND e.position <= %(position)s AND {which}
ORDER BY {order}
