-- jobs_as_of names the columns it takes of a past job, which has more of them from now on.
SET LOCAL check_function_bodies = off;

DO $do$ BEGIN
    -- A job's row is the row of then if nothing happened to it since and its reports came in the
    -- order they occurred. That is known as far as `intervals` came; what came later is folded.
    EXECUTE format($sql$
        CREATE OR REPLACE FUNCTION jobs_as_of(at timestamptz) RETURNS TABLE (
            name text, project text, kind text, state text, version integer, attempt integer,
            create_time timestamptz, start_time timestamptz, end_time timestamptz, update_time timestamptz,
            delete_time timestamptz, error json, error_message text, labels jsonb, spec json, output json, etag text
        )
        STABLE PARALLEL SAFE LANGUAGE sql SET search_path = %1$I, pg_temp AS $$
            SELECT j.name, j.project, j.kind, was.state, was.version, was.attempt, was.create_time, was.start_time,
                   was.end_time, was.update_time, was.delete_time, was.error, was.error_message, was.labels,
                   was.spec, was.output, etag(j.name, was.version)
            FROM (
                SELECT jobs.*, late.name IS NULL AND last_position <= followed.position AS in_order
                FROM (SELECT position FROM projections WHERE name = 'intervals') AS followed,
                     jobs LEFT JOIN late_jobs AS late ON late.name = jobs.name
            ) AS j, LATERAL (
                SELECT j.state, j.version, j.attempt, j.create_time, j.start_time, j.end_time,
                       j.update_time, j.delete_time, j.error, j.error_message, j.labels, j.spec, j.output
                WHERE j.in_order AND j.update_time <= at
                UNION ALL
                SELECT state, version, attempt, create_time, start_time, end_time, update_time, delete_time,
                       error, error_message, labels, spec, output
                FROM job_as_it_happened(j.name, j.last_position, at)
                WHERE NOT (j.in_order AND j.update_time <= at)
            ) AS was
            WHERE was.delete_time IS NULL AND (NOT j.in_order OR j.create_time <= at)
        $$
    $sql$, current_schema());
END $do$;
