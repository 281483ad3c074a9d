-- The evaluations of a job's finished runs.
SELECT e.run, e.evaluations
FROM evaluations AS e JOIN jobs AS j ON j.name = e.job
WHERE e.job = %s AND NOT coalesce((j.output -> 'openRuns')::jsonb, '[]') @> to_jsonb(e.run)
ORDER BY e.run
