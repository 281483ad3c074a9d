-- Whether a condition on the state may be true of a job, before it is folded. RUNNING alone is not true
-- of a job that started later; any other state is told by the last event that entered one.
-- entered is rendered: the state of an event on the clock; so are upto, by and condition (see filter_sql.py).
CASE
    WHEN EXISTS (SELECT FROM unnest(state_names()) AS other (state) WHERE state <> 'RUNNING' AND {condition}) THEN (
        SELECT {condition}
        FROM (
            SELECT (
                SELECT {entered} FROM events AS past
                WHERE past.name = j.name AND past.schema > 0 AND {upto} AND {entered} IS NOT NULL
                ORDER BY past.version DESC LIMIT 1
            ) AS state
        ) AS entered
    )
    ELSE j.start_time <= {by}
END
