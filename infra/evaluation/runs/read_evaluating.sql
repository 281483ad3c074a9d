-- All evaluation jobs in some states.
SELECT name FROM jobs
WHERE kind = 'evaluationJobs' AND delete_time IS NULL AND state = ANY (%s::text[])
ORDER BY name
