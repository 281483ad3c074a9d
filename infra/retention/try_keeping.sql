-- Whether this session applies retention rules: one at a time does, until its session ends, or is idle for so many
-- milliseconds, as that of a stopped process.
SELECT pg_try_advisory_lock(1919250540, hashtext(current_schema())), set_config('idle_session_timeout', %s, false)
