-- When events at these positions were recorded; of one that was pruned, when the one before it was.
SELECT (SELECT recorded_time FROM events AS e WHERE e.position <= asked.position ORDER BY e.position DESC LIMIT 1)
FROM unnest(%(positions)s::bigint[]) WITH ORDINALITY AS asked (position, n) ORDER BY n
