-- A project's evaluations of finished runs, newest first, after a page cursor if one is
-- given. `listed` is one of the two below, condition and limit are rendered (see evaluation_filters.py).
-- Runs are sorted before their results are read, so that a page reads only the rows it shows.
SELECT evaluation, create_time, run, dataset, place
FROM (
    SELECT e.create_time, e.run, e.dataset, e.evaluations, j.name, j.state, j.version, j.spec
    FROM evaluations AS e JOIN jobs AS j ON j.name = e.job
    WHERE e.dataset > %(parent)s::text || '/datasets/' AND e.dataset < %(parent)s::text || '/datasets0'
      AND NOT coalesce((j.output -> 'openRuns')::jsonb, '[]') @> to_jsonb(e.run)
      AND (%(time)s::timestamptz IS NULL
           OR (e.create_time, e.run, e.dataset) <= (%(time)s::timestamptz, %(run)s::integer, %(dataset)s::text))
    ORDER BY e.create_time DESC, e.run DESC, e.dataset DESC
) AS runs, LATERAL ({listed}) AS listed
WHERE {condition}
  AND (%(time)s::timestamptz IS NULL
       OR (create_time, run, dataset) < (%(time)s::timestamptz, %(run)s::integer, %(dataset)s::text)
       OR place > %(place)s::integer)
ORDER BY create_time DESC, run DESC, dataset DESC, place
LIMIT {limit}
