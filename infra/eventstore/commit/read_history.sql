-- Events of one job, oldest first, after a version and up to another. Carried by events_version.
SELECT position, name, version, type, schema, occurred_time, recorded_time, actor, request_id,
       trace_parent, data
FROM events
WHERE name = %(name)s AND version > %(after)s AND version <= %(until)s
ORDER BY version
