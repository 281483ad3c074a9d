-- Roles other than the owner that may read events, and so all later tables, with the rights of each.
-- Roles that an earlier version granted to could make the log grow; they are given that again.
SELECT DISTINCT g.grantee::text,
       CASE WHEN has_function_privilege(g.grantee, grow.oid, 'EXECUTE') THEN 'sign'
            WHEN has_function_privilege(g.grantee, append.oid, 'EXECUTE') THEN 'append'
            ELSE 'read' END
FROM information_schema.role_table_grants AS g
JOIN pg_tables AS t ON t.schemaname = g.table_schema AND t.tablename = g.table_name
JOIN pg_proc AS grow ON grow.pronamespace = g.table_schema::regnamespace AND grow.proname = 'grow_log'
JOIN pg_proc AS append ON append.pronamespace = g.table_schema::regnamespace AND append.proname = 'append'
WHERE g.table_schema = current_schema() AND g.table_name = 'events'
  AND g.privilege_type = 'SELECT' AND g.grantee NOT IN (t.tableowner, 'PUBLIC')
