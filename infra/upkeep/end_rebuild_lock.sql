-- Releases the lock of rebuilds of a ledger.
SELECT pg_advisory_unlock((%s::bigint << 32) | %s::bigint)
