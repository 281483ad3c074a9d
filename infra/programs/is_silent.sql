-- Whether a run's last heartbeat is still one of that time.
SELECT EXISTS (SELECT FROM leases WHERE job = %s AND run_id = %s AND heartbeat_time <= %s)
