-- Jobs as they were. A row of `jobs` that no later event changed is the row of then, too:
-- only the others are folded, each from its own events.

-- A job as the ledger knew it at a position: no row if it was not known yet.
CREATE OR REPLACE FUNCTION job_at(of text, until bigint) RETURNS TABLE (
    state text, version integer, attempt integer, create_time timestamptz, start_time timestamptz,
    end_time timestamptz, update_time timestamptz, delete_time timestamptz, error json,
    error_message text, labels jsonb, spec json, output json
)
STABLE PARALLEL SAFE LANGUAGE sql AS $$
    {{folded_at}}
    SELECT state, version, attempt::integer, create_time, start_time, end_time, update_time, delete_time,
           error, error_message, labels, spec, output
    FROM merged
$$;

-- A job as it happened up to a time, as far as that was known at a position: its events in the
-- order they occurred, those of the same time in the order of their versions.
CREATE OR REPLACE FUNCTION job_as_it_happened(of text, until bigint, at timestamptz) RETURNS TABLE (
    state text, version integer, attempt integer, create_time timestamptz, start_time timestamptz,
    end_time timestamptz, update_time timestamptz, delete_time timestamptz, error json,
    error_message text, labels jsonb, spec json, output json
)
STABLE PARALLEL SAFE LANGUAGE sql AS $$
    {{folded_as_it_happened}}
    SELECT state, version, attempt::integer, create_time, start_time, end_time, update_time, delete_time,
           error, error_message, labels, spec, output
    FROM merged
$$;

-- The same of a job whose events occurred in the order of their versions.
CREATE OR REPLACE FUNCTION job_in_order(of text, until bigint, at timestamptz) RETURNS TABLE (
    state text, version integer, attempt integer, create_time timestamptz, start_time timestamptz,
    end_time timestamptz, update_time timestamptz, delete_time timestamptz, error json,
    error_message text, labels jsonb, spec json, output json
)
STABLE PARALLEL SAFE LANGUAGE sql AS $$
    {{folded_in_order}}
    SELECT state, version, attempt::integer, create_time, start_time, end_time, update_time, delete_time,
           error, error_message, labels, spec, output
    FROM merged
$$;
