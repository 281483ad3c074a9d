-- Request ids count within a project: what one project sends neither takes nor tells another's.
--
-- append's request_ids are keys: the project of the job's name, a slash, and the request id.
-- Beside the id its project, so that an id that another project used often costs nothing.
CREATE INDEX events_request_key ON events (request_id, split_part(name, '/', 2)) WHERE request_id IS NOT NULL;
DROP INDEX events_request;

CREATE OR REPLACE FUNCTION append(
    count integer, new_events json, request_ids text[], new_jobs json, changed_jobs json,
    OUT size bigint, OUT recorded_time timestamptz
)
LANGUAGE plpgsql SECURITY DEFINER
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    now CONSTANT timestamptz := clock_timestamp();
    base bigint;
    written integer;
BEGIN
    UPDATE head SET size = size + append.count, recorded_time = greatest(recorded_time, now) WHERE one
    RETURNING head.size, head.recorded_time INTO STRICT append.size, append.recorded_time;
    base := append.size - append.count + 1;

    IF request_ids IS NOT NULL
    AND EXISTS (
        SELECT FROM unnest(request_ids) AS key, events
        WHERE request_id = substr(key, strpos(key, '/') + 1) COLLATE "C"
          AND split_part(name, '/', 2) = split_part(key, '/', 1)
    ) THEN
        RAISE unique_violation USING MESSAGE = 'a request id was used before';
    END IF;

    INSERT INTO events (
        position, recorded_time, occurred_time, version, schema, type, name, data,
        actor, request_id, trace_parent
    )
    SELECT base + e.n, append.recorded_time, e.occurred_time, e.version,
           e.schema, e.type, e.name, coalesce(convert_to(e.data, 'UTF8'), decode(e.bytes, 'base64')),
           e.actor, e.request_id, e.trace_parent
    FROM json_to_recordset(new_events) AS e (
        n integer, name text, version integer, schema smallint, type text, occurred_time timestamptz,
        actor text, request_id text, trace_parent text, data text, bytes text, first boolean
    )
    WHERE e.first IS NULL OR e.version <= 1
       -- A scalar, and not EXISTS, which the planner may hash: it would read the whole index.
       OR (SELECT p.version FROM events AS p
           WHERE p.name = e.name COLLATE "C" AND p.version = e.version - 1) IS NOT NULL;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> append.count THEN
        RAISE serialization_failure USING MESSAGE = 'a version would leave a gap';
    END IF;

    PERFORM write_jobs(base, new_jobs, changed_jobs);
END $$;

DO $$ BEGIN
    -- It runs with its owner's rights, so it must not find anybody else's tables.
    EXECUTE format('ALTER FUNCTION append SET search_path = %I, pg_temp', current_schema());
END $$;
