-- Evaluation jobs in some states, by the annotation spec set they use.
SELECT spec ->> 'annotationSpecSet', name
FROM jobs
WHERE kind = 'evaluationJobs' AND delete_time IS NULL AND state = ANY (%(states)s::text[])
  AND spec ->> 'annotationSpecSet' = ANY (%(spec_sets)s::text[])
ORDER BY name
