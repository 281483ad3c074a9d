-- Keys of personal parts: the first event of each, how many events it is in, one part under it, and the key
-- with its subject, which are null where it is not there. In canonical JSON a marker is nothing but this
-- text, and inside of a string its quotes are escaped.
SELECT used.key, used.position, used.events, used.sealed, k.key, k.subject
FROM (
    SELECT found[1] AS key, min(e.position) AS position, count(DISTINCT e.position) AS events, min(found[2]) AS sealed
    FROM events AS e,
         regexp_matches(convert_from(e.data, 'UTF8'), '"@personal":\{"key":"([A-Za-z0-9_-]+)","sealed":"([^"]*)"', 'g') AS found
    WHERE e.schema > 0 AND position('"@personal"'::bytea IN e.data) > 0
    GROUP BY found[1]
) AS used LEFT JOIN subject_keys AS k ON k.id = used.key COLLATE "C"
ORDER BY 2, 1
