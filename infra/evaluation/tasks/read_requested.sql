-- The data of a run's LabelingRequested.
SELECT convert_from(data, 'UTF8') FROM events
WHERE name = %s AND type = 'LabelingRequested' AND (convert_from(data, 'UTF8')::json ->> 'run')::integer = %s
ORDER BY version LIMIT 1
