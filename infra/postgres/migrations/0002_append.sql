-- append: the only way in. Writes a batch of events and the job rows they make, or fails whole.
--
-- new_events: [{n, name, version, schema, type, occurred_time, actor, request_id, trace_parent,
--   data | bytes, first}], n from 0; `first` marks the first event of its name in the batch,
--   `bytes` is base64 of data that is no text.
-- request_ids: those among them, which must not have been used before.
-- new_jobs, changed_jobs: rows as write_jobs takes them.
--
-- The lock on head's row, held until commit, makes the order of positions the order of commits.
-- Raises 23505 (unique_violation) for a version that is taken or a request id that was used,
-- and 40001 (serialization_failure) for a version that would leave a gap.
-- The planner is kept to index lookups: the plan is made once a session, and has to serve a
-- batch of one in a ledger of millions.
CREATE FUNCTION append(
    new_events json, request_ids text[], new_jobs json, changed_jobs json,
    OUT size bigint, OUT recorded_time timestamptz
)
LANGUAGE plpgsql SECURITY DEFINER
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    count CONSTANT integer := json_array_length(new_events);
    now CONSTANT timestamptz := clock_timestamp();
    written integer;
BEGIN
    UPDATE head SET size = size + count, recorded_time = greatest(recorded_time, now) WHERE one
    RETURNING head.size, head.recorded_time INTO STRICT append.size, append.recorded_time;

    IF request_ids IS NOT NULL
    AND EXISTS (SELECT FROM events WHERE request_id = ANY (request_ids)) THEN
        RAISE unique_violation USING MESSAGE = 'a request id was used before';
    END IF;

    INSERT INTO events (
        position, recorded_time, occurred_time, version, schema, type, name, data,
        actor, request_id, trace_parent
    )
    SELECT append.size - count + 1 + e.n, append.recorded_time, e.occurred_time, e.version,
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
    IF written <> count THEN
        RAISE serialization_failure USING MESSAGE = 'a version would leave a gap';
    END IF;

    PERFORM write_jobs(new_jobs, changed_jobs);
END $$;
REVOKE ALL ON FUNCTION append FROM PUBLIC;

-- Keeps other writers out until this transaction ends. An UPDATE, as SELECT FOR UPDATE does not
-- hold while a ledger is moved to another node.
CREATE FUNCTION lock_head() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE head SET size = size WHERE one;
END $$;
REVOKE ALL ON FUNCTION lock_head FROM PUBLIC;

-- They run with their owner's rights, so they must not find anybody else's tables.
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION append SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION lock_head SET search_path = %I, pg_temp', current_schema());
END $$;
