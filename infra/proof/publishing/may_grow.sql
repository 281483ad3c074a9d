-- Whether this role may make the log grow and keep checkpoints.
SELECT bool_and(has_function_privilege(oid, 'EXECUTE')) FROM pg_proc
WHERE pronamespace = current_schema()::regnamespace AND proname IN ('grow_log', 'keep_checkpoint')
