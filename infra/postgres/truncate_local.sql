-- Deletes the rows that Citus leaves on the coordinator when it has copied them to a node. Triggers refuse that
-- to all but superusers.
SELECT set_config('session_replication_role', 'replica', true);
SELECT truncate_local_data_after_distributing_table(oid)
FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r';
