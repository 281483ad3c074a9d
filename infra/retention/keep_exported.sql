-- Leaves out the jobs found of which the export has not as many events as they have versions
-- (parallel arrays of names and counts).
DELETE FROM prunable AS r WHERE NOT EXISTS (
    SELECT FROM unnest(%s::text[], %s::integer[]) AS e (name, events)
    WHERE e.name = r.name AND e.events = r.version
)
