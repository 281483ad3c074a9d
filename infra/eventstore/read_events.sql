-- A page of the ledger's events, after a position, in commit order; the event at that position comes first,
-- without its data. Carried by events_pkey: except for pruned ones, positions have no gaps, so a page is a
-- range from the next one on, and no plan depends on a LIMIT.
-- A position is visible only after all before it, as writers commit in the order of positions.
SELECT position, name, version, type, schema, occurred_time, recorded_time, actor, request_id,
       trace_parent, CASE WHEN position > %(after)s::bigint THEN data END
FROM events
WHERE position >= %(after)s::bigint
  AND position < coalesce((SELECT min(position) FROM events WHERE position > %(after)s::bigint), %(after)s::bigint)
      + %(limit)s::bigint
ORDER BY position
