-- Puts the ledger of the search_path on a node, with its functions: a call of one is sent to the node as a whole.
SELECT citus_schema_distribute(current_schema()::regnamespace);
SELECT create_distributed_function(p.oid::regprocedure, colocate_with := format('%I.events', current_schema()))
FROM pg_proc AS p
WHERE pronamespace = current_schema()::regnamespace AND prosqlbody IS NULL AND prorettype <> 'trigger'::regtype AND provolatile <> 'i';
