-- Whether this role may make the log grow and keep checkpoints; and whether this server only replays.
SELECT bool_and(has_function_privilege(oid, 'EXECUTE')), pg_is_in_recovery() FROM pg_proc
WHERE pronamespace = current_schema()::regnamespace AND proname IN ('grow_log', 'keep_checkpoint')
