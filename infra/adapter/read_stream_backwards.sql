-- One aggregate's events, newest first; carried by events_version.
SELECT name, version, type, schema, occurred_time, actor, request_id, trace_parent, data
FROM events
WHERE name = %(name)s AND version > coalesce(%(gt)s, -1) AND version <= coalesce(%(lte)s, 2147483647)
ORDER BY version DESC
LIMIT %(limit)s
