-- The same as jobs_at.sql, for a position that few events follow: unchanged rows are read
-- through their indexes, and only jobs with an event since that may match are folded. The first half has no
-- condition of its own, and the types and collations of the second: else it is not read in order.
-- The position is no parameter: the planner has to know that few events follow.
SELECT {columns}
FROM (
    SELECT name, project, kind, coalesce(create_time, '-infinity') AS created, etag,
           state, version, attempt, create_time, start_time, end_time, update_time, effective_time,
           delete_time, error, error_message, labels, spec, output, run_ids, lineage, last_position
    FROM jobs
    UNION ALL
    SELECT j.name, j.project, j.kind, coalesce(j.create_time, '-infinity'),
           etag(j.name, was.version) COLLATE "C", was.state COLLATE "C", was.version, was.attempt,
           was.create_time, was.start_time, was.end_time, was.update_time, was.effective_time,
           was.delete_time, was.error, was.error_message, was.labels, was.spec, was.output, was.run_ids, was.lineage,
           0::bigint
    FROM (SELECT DISTINCT name FROM events WHERE position > {position} AND schema > 0) AS later
    JOIN jobs AS j USING (name), LATERAL job_row_at(j.name, {position}) AS was
    WHERE j.last_position > {position} AND j.first_position <= {position} AND {may_match}
) AS jobs
WHERE last_position <= {position} AND delete_time IS NULL AND {condition} {tail}
