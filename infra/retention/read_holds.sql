-- The last event of each job's holds of one kind (the streams that begin with a prefix); carried by events_version.
SELECT DISTINCT ON (name) name, type, data, actor, recorded_time
FROM events
WHERE name >= %(prefix)s COLLATE "C" AND name < %(end)s COLLATE "C" AND schema = 0
ORDER BY name, version DESC
