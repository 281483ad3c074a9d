-- The events at these places (parallel arrays of names and versions); carried by events_version.
SELECT e.position, e.recorded_time, e.name, e.version, e.type, e.data, e.occurred_time, e.actor,
       e.request_id, e.trace_parent
FROM unnest(%s::text[], %s::integer[]) AS p (name, version)
JOIN events AS e ON e.name = p.name COLLATE "C" AND e.version = p.version
ORDER BY e.position
