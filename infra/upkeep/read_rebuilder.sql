-- The session that rebuilds a ledger, in words.
SELECT format('server process %%s of user %%s from %%s, since %%s', a.pid, coalesce(a.usename, '?'),
              coalesce(host(a.client_addr), 'this machine'), date_trunc('second', a.backend_start))
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid::bigint = %s AND l.objid::bigint = %s
