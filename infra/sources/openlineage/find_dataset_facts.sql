-- Which of these facts of datasets are stored already: streams and data are parallel; carried by events_version.
SELECT e.name, e.data
FROM (SELECT DISTINCT * FROM unnest(%s::text[], %s::bytea[])) AS f (name, data)
JOIN events AS e ON e.name = f.name COLLATE "C" AND e.data = f.data
