-- Which of these requests (PROJECT/ID) were made before, and of which job. Carried by events_request_key.
SELECT DISTINCT key, name
FROM unnest(%s::text[]) AS key, events
WHERE request_id = substr(key, strpos(key, '/') + 1) COLLATE "C"
  AND split_part(name, '/', 2) = split_part(key, '/', 1)
