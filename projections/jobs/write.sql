-- Writes job rows as the domain's fold made them, in the transaction that appends their events.
-- Only append calls it; `n` and `first` count from the position of the batch's first event.
-- A changed job leaves out labels, spec, output, run_ids and lineage where they are as they were.
CREATE OR REPLACE FUNCTION write_jobs(base bigint, new_jobs json, changed_jobs json) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    -- Nothing takes effect after it was recorded.
    now CONSTANT timestamptz := (SELECT recorded_time FROM head);
BEGIN
    IF new_jobs IS NOT NULL THEN
        INSERT INTO jobs (
            name, project, kind, state, version, attempt, create_time, start_time, end_time,
            update_time, effective_time, delete_time, error, error_message, labels, spec, output, run_ids, lineage, etag,
            first_position, last_position
        )
        SELECT j.name, split_part(j.name, '/', 2), split_part(j.name, '/', -2), j.state, j.version,
               j.attempt, bounded(j.create_time, now), bounded(j.start_time, now), bounded(j.end_time, now),
               bounded(j.update_time, now), nullif(bounded(j.effective_time, now), bounded(j.update_time, now)), bounded(j.delete_time, now),
               j.error, j.error_message, j.labels, j.spec, j.output, j.run_ids, j.lineage, j.etag, base + j.first, base + j.n
        FROM json_to_recordset(new_jobs) AS j (
            name text, state text, version integer, attempt integer, create_time timestamptz,
            start_time timestamptz, end_time timestamptz, update_time timestamptz,
            effective_time timestamptz, delete_time timestamptz, error json, error_message text, labels jsonb, spec json, output json,
            run_ids json, lineage jsonb, etag text, first integer, n integer
        );
    END IF;
    IF changed_jobs IS NOT NULL THEN
        UPDATE jobs SET
            state = j.state, version = j.version, attempt = j.attempt,
            create_time = bounded(j.create_time, now), start_time = bounded(j.start_time, now), end_time = bounded(j.end_time, now),
            update_time = bounded(j.update_time, now),
            effective_time = nullif(bounded(j.effective_time, now), bounded(j.update_time, now)),
            delete_time = bounded(j.delete_time, now),
            error = j.error, error_message = j.error_message,
            labels = coalesce(j.labels, jobs.labels),
            spec = coalesce(j.spec, jobs.spec),
            run_ids = coalesce(j.run_ids, jobs.run_ids),
            lineage = coalesce(j.lineage, jobs.lineage),
            output = CASE WHEN j.keep_output THEN jobs.output ELSE j.output END,
            etag = j.etag, last_position = base + j.n
        FROM json_to_recordset(changed_jobs) AS j (
            name text, state text, version integer, attempt integer, create_time timestamptz,
            start_time timestamptz, end_time timestamptz, update_time timestamptz,
            effective_time timestamptz, delete_time timestamptz, error json, error_message text, labels jsonb, spec json, output json,
            run_ids json, lineage jsonb, keep_output boolean, etag text, n integer
        )
        WHERE jobs.name = j.name COLLATE "C";
    END IF;
END $$;
