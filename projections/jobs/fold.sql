-- What the fold of `jobs` is made of. The fold in domain/job.py is the meaning,
-- this one is the speed; they are held equal by tests and by `jobledger verify`.

-- The state an event leads to; null where the state stays as it was, or for no event of a job.
CREATE OR REPLACE FUNCTION state_after(type text) RETURNS text
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN
    CASE type  -- The most frequent first.
        WHEN 'Created' THEN 'QUEUED'
        WHEN 'Started' THEN 'RUNNING'
        WHEN 'Succeeded' THEN 'SUCCEEDED'
        WHEN 'Failed' THEN 'FAILED'
        WHEN 'Cancelled' THEN 'CANCELLED'
        WHEN 'Queued' THEN 'QUEUED'
        WHEN 'Paused' THEN 'PAUSED'
        WHEN 'Resumed' THEN 'QUEUED'
        WHEN 'Preparing' THEN 'PENDING'
        WHEN 'Cancelling' THEN 'CANCELLING'
        WHEN 'Retried' THEN 'QUEUED'
        WHEN 'Updating' THEN 'UPDATING'
        WHEN 'Updated' THEN 'RUNNING'
        WHEN 'PartiallySucceeded' THEN 'PARTIALLY_SUCCEEDED'
        WHEN 'Expired' THEN 'EXPIRED'
    END;

-- Changes with every event; the first 8 bytes of a SHA-256 in padded base64.
CREATE OR REPLACE FUNCTION etag(name text, version integer) RETURNS text
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN
    encode(substring(sha256((name || '@' || version::text)::bytea) FROM 1 FOR 8), 'base64');

-- An event's data; the bytes are canonical JSON, or they would not have been written.
CREATE OR REPLACE FUNCTION read_json(data bytea) RETURNS json
STABLE PARALLEL SAFE LANGUAGE sql RETURN convert_from(data, 'UTF8')::json;

-- Folds the events at these positions into jobs. Whatever `jobs` the search_path
-- finds first is meant, so that a rebuild can fold into one beside the live one.
CREATE OR REPLACE FUNCTION fold_jobs(first bigint, last bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH fresh AS (
        SELECT position, name, version, type, occurred_time, data, state_after(type) AS state,
               -- Data is looked into only where its type may say what is asked.
               CASE WHEN type IN ('Cancelling', 'Cancelled', 'Expired') THEN read_json(data) ->> 'reason'
                    WHEN type = 'Failed' THEN coalesce(read_json(data) -> 'error' ->> 'message', '')
               END AS message,
               CASE WHEN type IN ('Succeeded', 'PartiallySucceeded', 'ProgressReported')
                    THEN read_json(data) -> 'output' IS NOT NULL
                    ELSE type = 'Retried' END AS outputs,
               CASE WHEN type = 'Updated' THEN read_json(data) -> 'spec' IS NOT NULL
                    ELSE type = 'Created' END AS specifies
        FROM events
        WHERE position BETWEEN first AND last AND schema > 0
        OFFSET 0  -- So that what is computed here is computed once.
    ),
    -- All aggregates take the newest first, so that one sort serves them.
    delta AS (
        SELECT name,
               max(version) AS version,
               min(version) AS first_version,
               min(position) AS first_position,
               max(position) AS last_position,
               count(*) FILTER (WHERE type = 'Retried') AS retries,
               max(occurred_time) AS update_time,
               (array_agg(type ORDER BY version DESC) FILTER (WHERE state IS NOT NULL))[1] AS entered_by,
               (array_agg(occurred_time ORDER BY version DESC) FILTER (WHERE state IS NOT NULL))[1] AS entered,
               (array_agg(data ORDER BY version DESC) FILTER (WHERE type = 'Failed'))[1] AS failed,
               (array_agg(message ORDER BY version DESC) FILTER (WHERE message IS NOT NULL))[1] AS message,
               max(version) FILTER (WHERE message IS NOT NULL) AS told,
               -- Cancelled without a reason keeps the one that Cancelling gave.
               max(version) FILTER (WHERE state IS NOT NULL AND message IS NULL AND type <> 'Cancelled') AS untold,
               (array_agg(occurred_time ORDER BY version DESC) FILTER (WHERE type = 'Deleted'))[1] AS delete_time,
               array_agg(occurred_time ORDER BY version DESC) FILTER (WHERE type = 'Created') AS create_times,
               array_agg(occurred_time ORDER BY version DESC) FILTER (WHERE state = 'RUNNING') AS start_times,
               (array_agg(data ORDER BY version DESC) FILTER (WHERE type IN ('Created', 'LabelsChanged')))[1] AS labels,
               (array_agg(data ORDER BY version DESC) FILTER (WHERE specifies))[1] AS spec,
               (array_agg(data ORDER BY version DESC) FILTER (WHERE outputs))[1] AS output
        FROM fresh
        GROUP BY name
    ),
    merged AS MATERIALIZED (
        SELECT old.name IS NOT NULL AS known,
               delta.name,
               split_part(delta.name, '/', 2) AS project,
               split_part(delta.name, '/', -2) AS kind,
               coalesce(state_after(entered_by), old.state) AS state,
               delta.version,
               coalesce(old.attempt, 1) + delta.retries AS attempt,
               coalesce(old.create_time, create_times[cardinality(create_times)]) AS create_time,
               coalesce(old.start_time, start_times[cardinality(start_times)]) AS start_time,
               CASE
                   WHEN entered_by IS NULL THEN old.end_time
                   WHEN entered_by IN ('Succeeded', 'PartiallySucceeded', 'Failed', 'Cancelled', 'Expired') THEN entered
               END AS end_time,
               greatest(old.update_time, delta.update_time) AS update_time,
               coalesce(delta.delete_time, old.delete_time) AS delete_time,
               CASE
                   WHEN entered_by IS NULL THEN old.error
                   WHEN entered_by = 'Failed' THEN coalesce(read_json(failed) -> 'error', '{"code":2,"message":""}')
                   WHEN entered_by = 'Cancelled' THEN json_build_object('code', 1, 'message', coalesce(telling.error_message, ''))
               END AS error,
               telling.error_message,
               CASE WHEN delta.labels IS NULL THEN coalesce(old.labels, '{}')
                    ELSE coalesce((read_json(delta.labels) -> 'labels')::jsonb, '{}') END AS labels,
               CASE WHEN delta.spec IS NULL THEN coalesce(old.spec, '{}')
                    ELSE coalesce(read_json(delta.spec) -> 'spec', '{}') END AS spec,
               CASE WHEN delta.output IS NULL THEN old.output
                    ELSE read_json(delta.output) -> 'output' END AS output,
               coalesce(old.first_position, delta.first_position) AS first_position,
               delta.last_position
        -- A job that begins here has no row yet: nobody need look.
        FROM delta LEFT JOIN jobs AS old ON old.name = CASE WHEN first_version > 1 THEN delta.name END,
        LATERAL (
            SELECT CASE WHEN told > coalesce(untold, 0) THEN delta.message
                        WHEN untold IS NULL THEN old.error_message END AS error_message
        ) AS telling
    ),
    -- Apart from the insert: ON CONFLICT would cost each new row as much again as its index.
    changed AS (
        UPDATE jobs SET
            state = new.state, version = new.version, attempt = new.attempt,
            create_time = new.create_time, start_time = new.start_time, end_time = new.end_time,
            update_time = new.update_time, delete_time = new.delete_time, error = new.error,
            error_message = new.error_message, labels = new.labels, spec = new.spec,
            output = new.output, etag = etag(new.name, new.version), last_position = new.last_position
        FROM merged AS new WHERE new.known AND jobs.name = new.name
    )
    INSERT INTO jobs (
        name, project, kind, state, version, attempt, create_time, start_time, end_time,
        update_time, delete_time, error, error_message, labels, spec, output, etag,
        first_position, last_position
    )
    SELECT name, project, kind, state, version, attempt, create_time, start_time, end_time,
           update_time, delete_time, error, error_message, labels, spec, output, etag(name, version),
           first_position, last_position
    FROM merged WHERE NOT known;
END $$;
