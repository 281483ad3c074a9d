-- Evaluation jobs that run, or may run again, by the annotation spec set they use.
SELECT spec ->> 'annotationSpecSet', name
FROM jobs
WHERE kind = 'evaluationJobs' AND delete_time IS NULL
  AND state IN ('QUEUED', 'PENDING', 'RUNNING', 'UPDATING', 'PAUSED')
  AND spec ->> 'annotationSpecSet' = ANY (%s::text[])
ORDER BY name
