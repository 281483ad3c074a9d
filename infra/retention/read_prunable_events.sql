-- All events of the jobs found, all columns of rows.py, by position.
SELECT e.position, e.name, e.version, e.type, e.schema, e.occurred_time, e.recorded_time, e.actor, e.request_id,
       e.trace_parent, e.data
FROM events AS e JOIN prunable AS r ON r.name = e.name
ORDER BY e.position
