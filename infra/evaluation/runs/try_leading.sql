-- Whether this session is the ledger's scheduler: one at a time is, until its session ends, or is idle for so many
-- milliseconds, as that of a stopped process.
SELECT pg_try_advisory_lock(1785688940, hashtext(current_schema())), set_config('idle_session_timeout', %s, false)
