-- The state of some jobs before some version each (parallel arrays); carried by events_version.
SELECT p.name, p.version, (
    SELECT state_after(e.type) FROM events AS e
    WHERE e.name = p.name COLLATE "C" AND e.version < p.version AND known_state(e.type, e.schema, e.data) IS NOT NULL
    ORDER BY e.version DESC LIMIT 1
)
FROM unnest(%s::text[], %s::integer[]) AS p (name, version)
