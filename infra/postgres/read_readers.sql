-- Roles other than the owner that may read events, and so all that comes to be beside them.
SELECT DISTINCT g.grantee::text
FROM information_schema.role_table_grants AS g
JOIN pg_tables AS t ON t.schemaname = g.table_schema AND t.tablename = g.table_name
WHERE g.table_schema = current_schema() AND g.table_name = 'events'
  AND g.privilege_type = 'SELECT' AND g.grantee NOT IN (t.tableowner, 'PUBLIC')
