-- The bytes of disk that each table of a ledger takes, with its indexes, largest first.
SELECT c.relname::text, pg_total_relation_size(c.oid)::bigint
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relkind = 'r'
ORDER BY 2 DESC, 1
