-- Which of these beginnings of personal parts (canonical JSON) a job's events hold. Carried by events_version.
SELECT part FROM unnest(%s::bytea[]) AS part
WHERE EXISTS (SELECT FROM events WHERE name = %s AND position(part IN data) > 0)
