-- The leases that have ended, those of the longest silence first.
SELECT job, run_id, heartbeat_time FROM leases
WHERE expire_time < clock_timestamp()
ORDER BY heartbeat_time
LIMIT 1000
