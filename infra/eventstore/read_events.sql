-- A page of the ledger's events, after a position, in commit order. Carried by events_pkey:
-- but for what was pruned positions have no gaps, so a page is a range from the next one on,
-- whatever the planner thinks of a LIMIT.
-- A position is only seen once all before it are: writers commit in the order of positions.
SELECT position, name, version, type, schema, occurred_time, recorded_time, actor, request_id,
       trace_parent, data
FROM events
WHERE position > %(after)s::bigint
  AND position < (SELECT min(position) FROM events WHERE position > %(after)s::bigint) + %(limit)s::bigint
ORDER BY position
