-- Whether a condition on the state, or the error's code, was ever true of a job: the events that
-- enter states determine both. entered is rendered: the state of an event, in valid time or as it was
-- known; so are upto and condition (see filter_sql.py).
EXISTS (
    SELECT FROM (
        SELECT past.position, past.effective AS occurred_time, {entered} AS state,
               CASE past.type
                   WHEN 'Failed' THEN coalesce(read_json(past.data) -> 'error', '{{"code":2}}')
                   WHEN 'Cancelled' THEN '{{"code":1}}'::json
               END AS error
        FROM job_effects(jobs.name) AS past
        WHERE {entered} IS NOT NULL
    ) AS past
    WHERE {upto} AND {condition}
)
