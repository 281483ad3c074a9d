-- The number of a run's last sample, and that of the run before it.
SELECT coalesce((convert_from(data, 'UTF8')::json ->> 'cut')::integer, 0)
FROM events
WHERE name = %(job)s AND type = 'RunStarted'
  AND (convert_from(data, 'UTF8')::json ->> 'run')::integer BETWEEN %(run)s - 1 AND %(run)s
ORDER BY version
