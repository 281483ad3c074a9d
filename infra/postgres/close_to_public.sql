-- Statements that take functions which write from PUBLIC, who may call them after a restore without privileges.
SELECT format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', p.oid::regprocedure)
FROM pg_proc AS p
WHERE p.pronamespace = current_schema()::regnamespace AND pg_has_role(p.proowner, 'USAGE')
  AND p.prosecdef AND p.proname NOT IN ('follow', 'position_recorded') AND has_function_privilege('public', p.oid, 'EXECUTE')
