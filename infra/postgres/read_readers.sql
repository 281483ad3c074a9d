-- Roles other than the owner that may read events, and so all that comes to be beside them; and whether each may
-- make the log grow. Roles that were granted to by an earlier version could; they are given that again.
SELECT DISTINCT g.grantee::text, has_function_privilege(g.grantee, p.oid, 'EXECUTE')
FROM information_schema.role_table_grants AS g
JOIN pg_tables AS t ON t.schemaname = g.table_schema AND t.tablename = g.table_name
JOIN pg_proc AS p ON p.pronamespace = g.table_schema::regnamespace AND p.proname = 'grow_log'
WHERE g.table_schema = current_schema() AND g.table_name = 'events'
  AND g.privilege_type = 'SELECT' AND g.grantee NOT IN (t.tableowner, 'PUBLIC')
