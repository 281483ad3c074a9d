-- The names of the indexes of `events`.
SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = 'events'::regclass AND i.indisvalid ORDER BY 1
