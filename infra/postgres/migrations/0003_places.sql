-- append again: it is told how many events there are, and tells each job's row where its events stand.
--
-- new_events: `count` times {n, name, version, schema, type, occurred_time, actor, request_id,
--   trace_parent, data | bytes, first}, n from 0; `first` marks the first event of its name in
--   the batch, `bytes` is base64 of data that is no text.
-- request_ids: those among them, which must not have been used before.
-- new_jobs, changed_jobs: rows as write_jobs takes them, with the `n` of the job's last event
--   and, for a new job, that of its `first`.
--
-- The lock on head's row, held until commit, makes the order of positions the order of commits.
-- Raises 23505 (unique_violation) for a version that is taken or a request id that was used,
-- and 40001 (serialization_failure) for a version that would leave a gap.
-- The planner is kept to index lookups: the plan is made once a session, and has to serve a
-- batch of one in a ledger of millions.
CREATE FUNCTION append(
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
    AND EXISTS (SELECT FROM events WHERE request_id = ANY (request_ids)) THEN
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
REVOKE ALL ON FUNCTION append(integer, json, text[], json, json) FROM PUBLIC;

DO $$
DECLARE
    role regrole;
BEGIN
    -- Who could append before can do so now.
    FOR role IN
        SELECT a.grantee FROM pg_proc AS p, aclexplode(p.proacl) AS a
        WHERE p.oid = 'append(json, text[], json, json)'::regprocedure AND a.grantee <> p.proowner AND a.grantee <> 0
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION append(integer, json, text[], json, json) TO %s', role);
    END LOOP;
    DROP FUNCTION append(json, text[], json, json);
    DROP FUNCTION IF EXISTS write_jobs(json, json);
    -- It runs with its owner's rights, so it must not find anybody else's tables.
    EXECUTE format('ALTER FUNCTION append SET search_path = %I, pg_temp', current_schema());
END $$;
