-- Destroys the salts' keys of tiles all of whose events are pruned, among those these ranges touch.
UPDATE tiles AS t SET key = NULL
FROM (
    SELECT DISTINCT number
    FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS r (first, last),
         generate_series((first - 1) / 256, (last - 1) / 256) AS number
) AS touched
WHERE t.level = 0 AND t.number = touched.number AND t.key IS NOT NULL AND 256 = (
    SELECT sum(least(p.last, t.number * 256 + 256) - greatest(p.first, t.number * 256 + 1) + 1)
    FROM pruned AS p WHERE int8range(p.first, p.last, '[]') && int8range(t.number * 256 + 1, t.number * 256 + 256, '[]')
)
