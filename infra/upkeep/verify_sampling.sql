-- Where rows of evaluation jobs are not in keeping with each other; null-free findings.
SELECT 'extra', 0, e.job, format('run %s has evaluations, and no event says so', e.run)
FROM evaluations AS e JOIN jobs AS j ON j.name = e.job
WHERE NOT coalesce((j.output -> 'openRuns')::jsonb, '[]') @> to_jsonb(e.run)
  AND NOT EXISTS (
    SELECT FROM events AS v
    WHERE v.name = e.job AND v.schema > 0 AND v.type = 'EvaluationCreated'
      AND (convert_from(v.data, 'UTF8')::json ->> 'run')::integer = e.run
)
UNION ALL
SELECT 'differs', 0, s.job, format('its last sample is number %s and its last rejected prediction %s, of %s and %s',
       s.sampled, s.spoilt, f.samples, r.rejected)
FROM sampling AS s,
     LATERAL (SELECT count(*) AS samples, coalesce(max(number), 0) AS last FROM samples WHERE job = s.job) AS f,
     LATERAL (SELECT count(*) AS rejected, coalesce(max(number), 0) AS last FROM spoilt_predictions WHERE job = s.job) AS r
WHERE (s.sampled, s.sampled, s.spoilt, s.spoilt) <> (f.last, f.samples, r.last, r.rejected)
UNION ALL
SELECT 'extra', 0, job, 'has samples that were not counted' FROM samples
WHERE job NOT IN (SELECT job FROM sampling) GROUP BY job
