-- From where a slot's next changes are read, and how far the server's log is durable.
SELECT confirmed_flush_lsn::text AS since, pg_current_wal_flush_lsn()::text AS flushed
FROM pg_replication_slots
WHERE slot_name = %(slot)s
