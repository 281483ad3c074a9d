-- Joins intervals as i to what is asked about their jobs as they are now; group and condition are rendered.
JOIN (
    SELECT entry.at, ({group})::text AS group_
    FROM (SELECT position AS at, name AS of FROM events) AS entry JOIN jobs ON jobs.name = entry.of
    WHERE {condition}
) AS about ON about.at = i.position
