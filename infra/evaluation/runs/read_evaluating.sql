-- All evaluation jobs that run, or may run again.
SELECT name FROM jobs
WHERE kind = 'evaluationJobs' AND delete_time IS NULL
  AND state IN ('QUEUED', 'PENDING', 'RUNNING', 'UPDATING', 'PAUSED')
ORDER BY name
