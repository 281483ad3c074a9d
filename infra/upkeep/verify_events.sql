-- All events of jobs, job by job; carried by events_version.
SELECT position, name, version, type, schema, occurred_time, recorded_time, actor, request_id,
       trace_parent, data
FROM events WHERE schema > 0 ORDER BY name, version
