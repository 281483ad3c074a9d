-- What the current role lacks in a schema of the rights that `init --grant-to` gives: SELECT and EXECUTE.
SELECT c.relname::text AS name, 'SELECT' AS privilege
FROM pg_class AS c
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind IN ('r', 'v', 'p')
  AND NOT has_table_privilege(c.oid, 'SELECT')
UNION ALL
SELECT p.proname::text, 'EXECUTE'
FROM pg_proc AS p
WHERE p.pronamespace = %(schema)s::regnamespace AND NOT has_function_privilege(p.oid, 'EXECUTE')
ORDER BY name
