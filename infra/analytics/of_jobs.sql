-- Joins intervals as i to the group and the condition of their jobs as they are now; both are rendered.
JOIN (
    SELECT entry.at, ({group})::text AS group_
    FROM (SELECT position AS at, name AS of FROM events) AS entry JOIN jobs ON jobs.name = entry.of
    WHERE {condition}
) AS about ON about.at = i.position
