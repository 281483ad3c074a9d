-- The leases that have ended, those of the longest silence first. While the server was down, nobody was heard:
-- a lease is of the same length again from its start.
SELECT job, run_id, heartbeat_time FROM leases
WHERE expire_time < clock_timestamp()
  AND greatest(heartbeat_time, pg_postmaster_start_time()) + (expire_time - heartbeat_time) < clock_timestamp()
ORDER BY heartbeat_time
LIMIT 1000
