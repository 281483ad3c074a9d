-- Which of these prefixes of personal values (canonical JSON) occur in a job's events. Carried by events_version.
SELECT part FROM unnest(%s::bytea[]) AS part
WHERE EXISTS (SELECT FROM events WHERE name = %s AND position(part IN data) > 0)
