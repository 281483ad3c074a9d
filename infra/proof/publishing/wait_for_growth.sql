-- Waits until no other session makes the log's tree grow, and keeps them out until this transaction ends.
SELECT pg_advisory_xact_lock((%s::bigint << 32) | oid::bigint) FROM pg_namespace WHERE nspname = current_schema()
