-- Lets other rebuilds of a ledger in.
SELECT pg_advisory_unlock((%s::bigint << 32) | %s::bigint)
