-- All that defines a schema: the kind, the name and the text of each object, with `placeholder` for the
-- schema's name. `relation` is the table or view that an object belongs to, else empty.
WITH relations AS (
    SELECT c.*, c.relname::text AS name
    FROM pg_class AS c WHERE c.relnamespace = %(schema)s::text::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
),
rights AS (
    SELECT 'function' AS kind, '' AS relation, p.oid::regprocedure::text AS name, p.proowner AS owner,
           coalesce(p.proacl, acldefault('f', p.proowner)) AS acl
    FROM pg_proc AS p WHERE p.pronamespace = %(schema)s::text::regnamespace
    UNION ALL
    SELECT 'table', r.name, r.name, r.relowner, coalesce(r.relacl, acldefault('r', r.relowner)) FROM relations AS r
    UNION ALL
    SELECT 'column', r.name, format('%%s.%%s', r.name, a.attname), r.relowner, a.attacl
    FROM relations AS r JOIN pg_attribute AS a ON a.attrelid = r.oid
    WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
    UNION ALL
    SELECT 'schema', '', '', n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
    FROM pg_namespace AS n WHERE n.oid = %(schema)s::text::regnamespace
),
definitions (kind, relation, name, text) AS (
    SELECT 'relation', name, name, concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relispartition)
    FROM relations
    UNION ALL
    SELECT 'column', r.name, format('%%s.%%s', r.name, a.attname), concat_ws(' ',
           row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod),
           a.attcollation::regcollation, a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid))
    FROM relations AS r JOIN pg_attribute AS a ON a.attrelid = r.oid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'inheritance', r.name, r.name, string_agg(i.inhrelid::regclass::text, ' ' ORDER BY i.inhrelid::regclass::text)
    FROM relations AS r JOIN pg_inherits AS i ON i.inhparent = r.oid GROUP BY r.oid, r.name
    UNION ALL
    SELECT 'constraint', coalesce(r.name, ''), c.conname, concat_ws(' ', pg_get_constraintdef(c.oid), c.convalidated)
    FROM pg_constraint AS c LEFT JOIN relations AS r ON r.oid = c.conrelid
    WHERE c.connamespace = %(schema)s::text::regnamespace AND c.contype NOT IN ('n', 't')
    UNION ALL
    SELECT 'index', r.name, i.indexrelid::regclass::text, concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisunique,
           i.indisvalid, i.indisready, i.indislive)
    FROM pg_index AS i JOIN relations AS r ON r.oid = i.indrelid
    -- While an index is rebuilt, or after that was killed, there is another one like it, which nobody reads.
    WHERE i.indisvalid OR NOT EXISTS (
        SELECT FROM pg_index AS o WHERE o.indrelid = i.indrelid AND o.indisvalid AND o.indisunique = i.indisunique
        AND substring(pg_get_indexdef(o.indexrelid) FROM ' ON .*') = substring(pg_get_indexdef(i.indexrelid) FROM ' ON .*')
    )
    UNION ALL
    SELECT 'trigger', r.name, t.tgname, concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled)
    FROM pg_trigger AS t JOIN relations AS r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'rule', r.name, w.rulename, concat_ws(' ', pg_get_ruledef(w.oid), w.ev_enabled)
    FROM pg_rewrite AS w JOIN relations AS r ON r.oid = w.ev_class
    UNION ALL
    SELECT 'policy', r.name, p.polname, concat_ws(' ', p.polcmd, p.polpermissive, p.polroles::regrole[],
           pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy AS p JOIN relations AS r ON r.oid = p.polrelid
    UNION ALL
    SELECT 'function', '', p.oid::regprocedure::text,
           CASE WHEN p.prokind = 'a' THEN 'an aggregate' ELSE concat_ws(' ', pg_get_functiondef(p.oid), p.prosupport) END
    FROM pg_proc AS p WHERE p.pronamespace = %(schema)s::text::regnamespace
    UNION ALL
    SELECT 'type', '', t.typname, t.typtype::text FROM pg_type AS t
    WHERE t.typnamespace = %(schema)s::text::regnamespace AND t.typtype <> 'c' AND t.typcategory <> 'A'
    UNION ALL
    SELECT 'operator', '', o.oid::regoperator::text, o.oprcode::regprocedure::text FROM pg_operator AS o
    WHERE o.oprnamespace = %(schema)s::text::regnamespace
    UNION ALL
    SELECT 'collation', '', c.collname, 'a collation' FROM pg_collation AS c WHERE c.collnamespace = %(schema)s::text::regnamespace
    UNION ALL
    SELECT 'comment', coalesce(r.name, ''), concat_ws('.', r.name, a.attname), d.description
    FROM relations AS r JOIN pg_description AS d ON d.objoid = r.oid AND d.classoid = 'pg_class'::regclass
    LEFT JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum = d.objsubid AND d.objsubid > 0
    UNION ALL
    SELECT 'owner', relation, name, 'another role than the schema''s owner'
    FROM rights WHERE owner <> (SELECT nspowner FROM pg_namespace WHERE oid = %(schema)s::text::regnamespace)
    UNION ALL
    -- A right to read the ledger is harmless: listed are the rights to write, and to read secrets.
    SELECT 'grant', g.relation, concat_ws(' ', g.kind, g.name), format('%%s to %%s%%s', x.privilege_type,
           CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END, CASE WHEN x.is_grantable THEN ', grantable' END)
    FROM rights AS g, aclexplode(g.acl) AS x
    WHERE x.grantee <> g.owner AND x.privilege_type <> 'USAGE'
      AND (x.privilege_type <> 'SELECT' OR g.relation = ANY (%(secrets)s::text[]))
)
SELECT kind, relation, replace(name, %(schema)s::text, %(placeholder)s::text), replace(text, %(schema)s::text, %(placeholder)s::text)
FROM definitions
