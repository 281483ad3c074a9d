-- The indexes of `events` that a rebuild of an index which failed left behind.
SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = 'events'::regclass AND NOT i.indisvalid
