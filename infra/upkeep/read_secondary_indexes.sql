-- The indexes of a schema that are no constraint: their names, and the statements that make them.
SELECT indexname, indexdef
FROM pg_indexes
WHERE schemaname = %(schema)s
  AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace)
ORDER BY indexname
