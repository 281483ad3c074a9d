-- Takes the lock that keeps other rebuilds of a ledger out, until the session ends, if it is free.
SELECT oid::bigint, pg_try_advisory_lock((%s::bigint << 32) | oid::bigint) FROM pg_namespace WHERE nspname = %s
