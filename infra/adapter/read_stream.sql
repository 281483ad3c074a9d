-- One aggregate's events, oldest first; carried by events_version.
SELECT name, version, type, schema, occurred_time, actor, request_id, trace_parent, data
FROM events
WHERE name = %(name)s AND version > coalesce(%(gt)s, -1) AND version <= coalesce(%(lte)s, 2147483647)
ORDER BY version
LIMIT %(limit)s
