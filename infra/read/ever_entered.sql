-- Whether a condition on the state, or the error's code, was ever true of a job: the events that
-- enter states tell both. upto and condition are rendered (see filtering.py).
EXISTS (
    SELECT FROM (
        SELECT past.position, past.occurred_time, state_after(past.type) AS state,
               CASE past.type
                   WHEN 'Failed' THEN coalesce(read_json(past.data) -> 'error', '{{"code":2}}')
                   WHEN 'Cancelled' THEN '{{"code":1}}'::json
               END AS error
        FROM events AS past
        WHERE past.name = jobs.name AND state_after(past.type) IS NOT NULL
    ) AS past
    WHERE {upto} AND {condition}
)
