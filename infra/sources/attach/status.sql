-- How far a slot is behind its server.
SELECT active AS is_active, wal_status, confirmed_flush_lsn::text AS confirmed_lsn,
       pg_current_wal_lsn()::text AS end_lsn,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::bigint AS behind_bytes,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint AS kept_bytes
FROM pg_replication_slots
WHERE slot_name = %(slot)s
