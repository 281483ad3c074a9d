-- Jobs as the ledger knew them at a position. A job without later events is read from its row;
-- the others are folded from their events, if they entered a state that may match.
-- columns, condition, may_match and tail are rendered.
-- Events occur at most a day after they are recorded, so jobs created later are skipped.
SELECT {columns}
FROM (
    SELECT j.name, j.project, j.kind, j.created, etag(j.name, was.version) AS etag, was.*
    FROM (SELECT *, coalesce(create_time, '-infinity') AS created FROM {jobs}) AS j, LATERAL (
        SELECT j.state, j.version, j.attempt, j.create_time, j.start_time, j.end_time,
               j.update_time, j.effective_time, j.delete_time, j.error, j.error_message, j.labels, j.spec, j.output, j.run_ids, j.lineage
        WHERE j.last_position <= %(position)s
        UNION ALL
        SELECT * FROM job_row_at(j.name, %(position)s)
        WHERE NOT (j.last_position <= %(position)s) AND {may_match}
    ) AS was
    WHERE j.first_position <= %(position)s AND j.created <= %(time)s::timestamptz + interval '1 day'
) AS jobs
WHERE delete_time IS NULL AND {condition} {tail}
