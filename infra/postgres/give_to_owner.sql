-- Statements that give what this role owns of the current schema to the schema's owner, if that is another role.
SELECT format('ALTER %s %s OWNER TO %I', made.kind, made.name, pg_get_userbyid(n.nspowner))
FROM pg_namespace AS n, LATERAL (
    SELECT 'TABLE' AS kind, c.oid::regclass::text AS name, c.relowner AS owner
    FROM pg_class AS c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'v')
    UNION ALL
    SELECT 'ROUTINE', p.oid::regprocedure::text, p.proowner FROM pg_proc AS p WHERE p.pronamespace = n.oid
) AS made
WHERE n.nspname = current_schema() AND made.owner <> n.nspowner AND pg_get_userbyid(made.owner) = current_user
