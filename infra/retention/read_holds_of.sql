-- The last event of the holds of one kind on some jobs, up to a position if one is given; carried by events_version.
SELECT held.*
FROM unnest(%(names)s::text[]) AS w (name),
LATERAL (
    SELECT e.name, e.type, e.data, e.actor, e.recorded_time FROM events AS e
    WHERE e.name = (%(prefix)s || w.name) COLLATE "C" AND e.schema = 0
    AND (%(until)s::bigint IS NULL OR e.position <= %(until)s::bigint)
    ORDER BY e.version DESC LIMIT 1
) AS held
