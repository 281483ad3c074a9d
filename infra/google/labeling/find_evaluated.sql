-- The finished run whose dataset has that name, and its evaluations.
SELECT e.job, e.run, e.evaluations::json
FROM evaluations AS e JOIN jobs AS j ON j.name = e.job
WHERE e.dataset = %s AND NOT coalesce((j.output -> 'openRuns')::jsonb, '[]') @> to_jsonb(e.run)
