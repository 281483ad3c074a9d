-- What roles other than the owner may do with a table.
SELECT g.grantee, g.privilege_type
FROM information_schema.role_table_grants AS g
JOIN pg_tables AS t ON t.schemaname = g.table_schema AND t.tablename = g.table_name
WHERE g.table_schema = %s AND g.table_name = %s AND g.grantee <> t.tableowner
