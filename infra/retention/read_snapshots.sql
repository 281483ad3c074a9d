-- The sessions and replication slots that may still see rows which a transaction or an earlier one deleted, in words.
SELECT format('server process %%s of user %%s from %%s, in a transaction since %%s', pid,
              coalesce(usename, '?'), coalesce(host(client_addr), 'this machine'),
              coalesce(date_trunc('second', xact_start)::text, '?'))
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND age(backend_xmin) >= age(%(deleted)s::xid)
  AND (datname = current_database() OR datname IS NULL) AND backend_type <> 'autovacuum worker'
UNION ALL
SELECT format('replication slot %%s', slot_name)
FROM pg_replication_slots WHERE age(xmin) >= age(%(deleted)s::xid)
