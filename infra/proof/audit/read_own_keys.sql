-- Which of these keys were first used in some job by an event that was not imported; see read_used_keys.sql.
-- Later events of the job may repeat the value.
WITH imported AS (
    SELECT job.key AS name, (place ->> 0)::integer AS version
    FROM events AS e, json_each(convert_from(e.data, 'UTF8')::json -> 'events') AS job,
         json_array_elements(job.value) AS place
    WHERE e.name = 'ledger/imports' AND e.schema = 0 AND e.type = 'Imported'
),
first_used AS (
    SELECT DISTINCT ON (found[1], e.name) found[1] AS key, e.name, e.version
    FROM events AS e,
         regexp_matches(convert_from(e.data, 'UTF8'), '"@personal":\{"key":"([A-Za-z0-9_-]+)","sealed"', 'g') AS found
    WHERE e.schema > 0 AND position('"@personal"'::bytea IN e.data) > 0 AND found[1] = ANY (%s)
    ORDER BY found[1], e.name, e.version
)
SELECT DISTINCT key FROM first_used
WHERE NOT EXISTS (
    SELECT FROM imported WHERE imported.name = first_used.name AND imported.version = first_used.version
)
