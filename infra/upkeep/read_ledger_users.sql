-- Sessions that hold a lock on a table of the ledger, other than this one.
SELECT DISTINCT a.pid, coalesce(nullif(a.application_name, ''), a.usename::text, '')
FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE n.nspname = %(schema)s AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND a.pid <> pg_backend_pid()
ORDER BY 1
