-- The sessions that hold locks on tables of a schema, but this one, in words.
SELECT DISTINCT format('server process %%s of user %%s from %%s, in a transaction since %%s', a.pid,
              coalesce(a.usename, '?'), coalesce(host(a.client_addr), 'this machine'),
              coalesce(date_trunc('second', a.xact_start)::text, '?'))
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
JOIN pg_class AS c ON c.oid = l.relation
WHERE l.granted AND l.pid <> pg_backend_pid() AND c.relnamespace = %s::regnamespace
