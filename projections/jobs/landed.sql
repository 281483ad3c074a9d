-- {function} under its first name and with its first columns, which statements of users may name or count.
DO $$ BEGIN
    EXECUTE format('DROP FUNCTION IF EXISTS %I.{landed}({types})', current_schema());
END $$;
CREATE FUNCTION {landed}({arguments}) RETURNS TABLE (
    state text, version integer, attempt integer, create_time timestamptz, start_time timestamptz,
    end_time timestamptz, update_time timestamptz, delete_time timestamptz, error json,
    error_message text, labels jsonb, spec json, output json
)
STABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT state, version, attempt, create_time, start_time, end_time, update_time, delete_time, error,
           error_message, labels, spec, output
    FROM {function}({values})
$$;
