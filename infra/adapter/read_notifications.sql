-- Events after a position, up to another, of some types or all; carried by events_pkey.
SELECT position, name, version, type, schema, occurred_time, actor, request_id, trace_parent, data
FROM events
WHERE position > %(after)s AND position <= coalesce(%(stop)s, 9223372036854775807)
  AND (%(topics)s::text[] IS NULL OR type = ANY (%(topics)s::text[]))
ORDER BY position
LIMIT %(limit)s
