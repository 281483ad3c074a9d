-- Jobs as of a valid time, as far as was known at a position, in the order of their creation. A job without
-- later events is read from its row; the others are folded from their events, if they entered a state that
-- may match. columns, condition, may_match and tail are rendered; so are in_order, that its reports did not come
-- late, and late_row, the row of a job whose reports did, where there are any.
SELECT {columns}
FROM (
    SELECT j.name, j.project, j.kind, j.created, etag(j.name, was.version) AS etag, was.*
    FROM (SELECT *, coalesce(create_time, '-infinity') AS created FROM {jobs}) AS j, LATERAL (
        SELECT j.state, j.version, j.attempt, j.create_time, j.start_time, j.end_time,
               j.update_time, j.effective_time, j.delete_time, j.error, j.error_message, j.labels, j.spec, j.output, j.run_ids, j.lineage
        WHERE j.last_position <= %(position)s AND j.update_time <= %(time)s
        UNION ALL
        SELECT * FROM job_row_in_order(j.name, %(position)s, %(time)s)
        WHERE (j.last_position > %(position)s OR j.update_time > %(time)s) AND {in_order} AND {may_match}
        {late_row}
    ) AS was
    WHERE j.first_position <= %(position)s AND j.created <= %(time)s
) AS jobs
WHERE delete_time IS NULL AND {condition} {tail}
