-- Which of these requests (PROJECT/ID) were made before, of which job, and how many events each wrote. Carried by events_request_key.
SELECT key, name, count(*)::integer
FROM unnest(%s::text[]) AS key, events
WHERE request_id = substr(key, strpos(key, '/') + 1) COLLATE "C"
  AND split_part(name, '/', 2) = split_part(key, '/', 1)
GROUP BY key, name
