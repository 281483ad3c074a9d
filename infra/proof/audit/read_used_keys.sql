-- Keys of personal parts: the first event of each, how many events it is in, and whether it is there.
-- In canonical JSON a marker is nothing but this text, and inside of a string its quotes are escaped.
SELECT used.key, min(used.position), count(*), k.id IS NOT NULL
FROM (
    SELECT DISTINCT e.position, found[1] AS key
    FROM events AS e,
         regexp_matches(convert_from(e.data, 'UTF8'), '"@personal":\{"key":"([A-Za-z0-9_-]+)","sealed"', 'g') AS found
    WHERE e.schema > 0 AND position('"@personal"'::bytea IN e.data) > 0
) AS used LEFT JOIN subject_keys AS k ON k.id = used.key COLLATE "C"
GROUP BY used.key, k.id ORDER BY 2
