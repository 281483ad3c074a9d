-- Ends the lease of a job's run; given a time, only if there was no heartbeat after it.
SELECT end_lease(%s, %s, %s)
