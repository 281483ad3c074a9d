-- The number of a job's last sample.
SELECT settle_samples(%s)
