-- How many events have a personal part under one of these keys that is not there; see read_used_keys.sql.
SELECT count(DISTINCT e.position)
FROM events AS e,
     regexp_matches(convert_from(e.data, 'UTF8'), '"@personal":\{"key":"([A-Za-z0-9_-]+)","sealed"', 'g') AS found
WHERE e.schema > 0 AND position('"@personal"'::bytea IN e.data) > 0
  AND found[1] = ANY (%s) AND NOT EXISTS (SELECT FROM subject_keys AS k WHERE k.id = found[1] COLLATE "C")
