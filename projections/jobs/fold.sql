-- What the fold of `jobs` is made of. The fold in domain/job.py is the meaning,
-- this one is the speed; they are held equal by tests and by `jobledger verify`.

-- The state an event leads to; null where the state stays as it was, or for no event of a job.
CREATE OR REPLACE FUNCTION state_after(type text) RETURNS text
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN
    CASE type
        WHEN 'Created' THEN 'QUEUED'
        WHEN 'Queued' THEN 'QUEUED'
        WHEN 'Preparing' THEN 'PENDING'
        WHEN 'Started' THEN 'RUNNING'
        WHEN 'Updating' THEN 'UPDATING'
        WHEN 'Updated' THEN 'RUNNING'
        WHEN 'Paused' THEN 'PAUSED'
        WHEN 'Resumed' THEN 'QUEUED'
        WHEN 'Cancelling' THEN 'CANCELLING'
        WHEN 'Cancelled' THEN 'CANCELLED'
        WHEN 'Succeeded' THEN 'SUCCEEDED'
        WHEN 'PartiallySucceeded' THEN 'PARTIALLY_SUCCEEDED'
        WHEN 'Failed' THEN 'FAILED'
        WHEN 'Expired' THEN 'EXPIRED'
        WHEN 'Retried' THEN 'QUEUED'
    END;

-- Changes with every event; the first 8 bytes of a SHA-256 in padded base64.
CREATE OR REPLACE FUNCTION etag(name text, version integer) RETURNS text
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN
    encode(substring(sha256((name || '@' || version::text)::bytea) FROM 1 FOR 8), 'base64');

-- Folds the events at these positions into jobs. Whatever `jobs` the search_path
-- finds first is meant, so that a rebuild can fold into one beside the live one.
CREATE OR REPLACE FUNCTION fold_jobs(first bigint, last bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH fresh AS (
        SELECT name, version, type, occurred_time, state_after(type) AS state,
               CASE WHEN type IN (
                   'Created', 'LabelsChanged', 'Updated', 'ProgressReported', 'Succeeded',
                   'PartiallySucceeded', 'Failed', 'Cancelling', 'Cancelled', 'Expired'
               ) THEN convert_from(data, 'UTF8')::json END AS data
        FROM events
        WHERE position BETWEEN first AND last AND schema > 0
    ),
    told AS (
        SELECT name, version, type, occurred_time, state, data,
               -- Cancelled without a reason keeps the one that Cancelling gave.
               state IS NOT NULL AND NOT (type = 'Cancelled' AND data ->> 'reason' IS NULL) AS tells,
               CASE type WHEN 'Failed' THEN coalesce(data -> 'error' ->> 'message', '')
                   WHEN 'Cancelling' THEN data ->> 'reason'
                   WHEN 'Cancelled' THEN data ->> 'reason'
                   WHEN 'Expired' THEN data ->> 'reason' END AS message,
               type = 'Retried' OR (
                   type IN ('Succeeded', 'PartiallySucceeded', 'ProgressReported')
                   AND data -> 'output' IS NOT NULL
               ) AS outputs
        FROM fresh
    ),
    delta AS (
        SELECT name,
               max(version) AS version,
               count(*) FILTER (WHERE type = 'Retried') AS retries,
               max(occurred_time) AS update_time,
               (array_agg(state ORDER BY version DESC) FILTER (WHERE state IS NOT NULL))[1] AS state,
               (array_agg(type ORDER BY version DESC) FILTER (WHERE state IS NOT NULL))[1] AS entered_by,
               (array_agg(occurred_time ORDER BY version DESC) FILTER (WHERE state IS NOT NULL))[1] AS entered,
               (array_agg(data -> 'error' ORDER BY version DESC) FILTER (WHERE state IS NOT NULL))[1] AS error,
               bool_or(tells) AS tells,
               (array_agg(message ORDER BY version DESC) FILTER (WHERE tells))[1] AS message,
               (array_agg(occurred_time ORDER BY version DESC) FILTER (WHERE type = 'Deleted'))[1] AS delete_time,
               (array_agg(occurred_time ORDER BY version) FILTER (WHERE type = 'Created'))[1] AS create_time,
               (array_agg(occurred_time ORDER BY version) FILTER (WHERE state = 'RUNNING'))[1] AS start_time,
               bool_or(type IN ('Created', 'LabelsChanged')) AS labelled,
               (array_agg(data -> 'labels' ORDER BY version DESC) FILTER (WHERE type IN ('Created', 'LabelsChanged')))[1] AS labels,
               bool_or(type = 'Created') AS created,
               (array_agg(data -> 'spec' ORDER BY version DESC) FILTER (WHERE type = 'Created' OR type = 'Updated' AND data -> 'spec' IS NOT NULL))[1] AS spec,
               bool_or(outputs) AS outputs,
               (array_agg(data -> 'output' ORDER BY version DESC) FILTER (WHERE outputs))[1] AS output
        FROM told
        GROUP BY name
    ),
    merged AS (
        SELECT delta.name,
               split_part(delta.name, '/', 2) AS project,
               split_part(delta.name, '/', -2) AS kind,
               coalesce(delta.state, old.state) AS state,
               delta.version,
               coalesce(old.attempt, 1) + delta.retries AS attempt,
               coalesce(old.create_time, delta.create_time) AS create_time,
               coalesce(old.start_time, delta.start_time) AS start_time,
               CASE
                   WHEN delta.state IS NULL THEN old.end_time
                   WHEN delta.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'EXPIRED', 'PARTIALLY_SUCCEEDED') THEN delta.entered
               END AS end_time,
               greatest(old.update_time, delta.update_time) AS update_time,
               coalesce(delta.delete_time, old.delete_time) AS delete_time,
               CASE
                   WHEN delta.state IS NULL THEN old.error
                   WHEN delta.entered_by = 'Failed' THEN coalesce(delta.error, '{"code":2,"message":""}')
                   WHEN delta.entered_by = 'Cancelled' THEN json_build_object(
                       'code', 1,
                       'message', coalesce(CASE WHEN delta.tells THEN delta.message ELSE old.error_message END, ''))
               END AS error,
               CASE WHEN delta.tells THEN delta.message ELSE old.error_message END AS error_message,
               CASE WHEN delta.labelled THEN coalesce(delta.labels::jsonb, '{}') ELSE coalesce(old.labels, '{}') END AS labels,
               coalesce(delta.spec, CASE WHEN NOT delta.created THEN old.spec END, '{}') AS spec,
               CASE WHEN delta.outputs THEN delta.output ELSE old.output END AS output
        FROM delta LEFT JOIN jobs AS old ON old.name = delta.name
    )
    INSERT INTO jobs (
        name, project, kind, state, version, attempt, create_time, start_time, end_time,
        update_time, delete_time, error, error_message, labels, spec, output
    )
    SELECT name, project, kind, state, version, attempt, create_time, start_time, end_time,
           update_time, delete_time, error, error_message, labels, spec, output
    FROM merged
    ON CONFLICT (name) DO UPDATE SET
        state = excluded.state, version = excluded.version, attempt = excluded.attempt,
        create_time = excluded.create_time, start_time = excluded.start_time,
        end_time = excluded.end_time, update_time = excluded.update_time,
        delete_time = excluded.delete_time, error = excluded.error,
        error_message = excluded.error_message, labels = excluded.labels,
        spec = excluded.spec, output = excluded.output;
END $$;
