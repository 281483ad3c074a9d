-- The last version of each of these names; carried by events_version.
SELECT n.name, e.version
FROM unnest(%s::text[]) AS n (name),
     LATERAL (SELECT version FROM events WHERE events.name = n.name COLLATE "C" ORDER BY version DESC LIMIT 1) AS e
