-- All events of some jobs, each job's oldest first. Carried by events_version.
SELECT position, name, version, type, schema, occurred_time, recorded_time, actor, request_id,
       trace_parent, data
FROM events
WHERE name = ANY (%s) AND schema > 0
ORDER BY name, version
