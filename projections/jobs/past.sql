-- A job as it was, of which there are several (see __init__.py): {meaning}. No row if it was not
-- there yet. A row of `jobs` that no later event changed is the row of then, too: only the others
-- are folded, each from its own events.
-- Its columns may be others than they were.
DO $$ BEGIN
    EXECUTE format('DROP FUNCTION IF EXISTS %I.{function}({types})', current_schema());
END $$;
CREATE FUNCTION {function}({arguments}) RETURNS TABLE (
    state text, version integer, attempt integer, create_time timestamptz, start_time timestamptz,
    end_time timestamptz, update_time timestamptz, effective_time timestamptz, delete_time timestamptz, error json,
    error_message text, labels jsonb, spec json, output json, run_ids json, lineage jsonb
)
STABLE PARALLEL SAFE LANGUAGE sql AS $$
    {folded}
    SELECT state, version, attempt::integer, create_time, start_time, end_time, update_time, effective_time, delete_time,
           error, error_message, labels, spec, output, run_ids, lineage
    FROM merged
$$;
