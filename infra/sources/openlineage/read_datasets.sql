-- The last fact of each dataset of a project whose name or namespace contains a text; carried by events_version.
SELECT * FROM (
    SELECT DISTINCT ON (name) position, version, recorded_time, convert_from(data, 'UTF8')::json AS fact
    FROM events
    WHERE name >= %(first)s COLLATE "C" AND name < %(last)s COLLATE "C" AND schema = 0
    ORDER BY name, version DESC
) AS last
WHERE strpos(lower(concat_ws('|', fact #>> '{dataset,namespace}', fact #>> '{dataset,name}')), lower(%(text)s)) > 0
ORDER BY fact #>> '{dataset,namespace}', fact #>> '{dataset,name}'
LIMIT %(most)s
