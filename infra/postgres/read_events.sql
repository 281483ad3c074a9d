-- Events of the whole ledger in commit order, after a position. Carried by events_pkey.
-- A position is only seen once all before it are: writers commit in the order of positions.
SELECT position, name, version, type, schema, occurred_time, recorded_time, actor, request_id,
       trace_parent, data
FROM events
WHERE position > %s
ORDER BY position
LIMIT %s
