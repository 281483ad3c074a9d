-- What defines a schema: each catalogue row of it, with the transaction that wrote it last.
SELECT md5(string_agg(row, ' ' ORDER BY row)) FROM (
    SELECT concat_ws('.', 'n', oid, xmin) FROM pg_namespace WHERE oid = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws('.', 'c', oid, xmin) FROM pg_class WHERE relnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws('.', 'p', oid, xmin) FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws('.', 'y', oid, xmin) FROM pg_type WHERE typnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws('.', 'k', oid, xmin) FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws('.', 's', oid, xmin) FROM pg_statistic_ext WHERE stxnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws('.', 'a', a.attrelid, a.attnum, a.xmin)
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
    WHERE c.relnamespace = %(schema)s::regnamespace AND a.attnum > 0
    UNION ALL
    SELECT concat_ws('.', 'd', d.oid, d.xmin)
    FROM pg_attrdef AS d JOIN pg_class AS c ON c.oid = d.adrelid
    WHERE c.relnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws('.', 'i', i.indexrelid, i.xmin)
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE c.relnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws('.', 't', t.oid, t.xmin)
    FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
    WHERE c.relnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws('.', 'r', r.oid, r.xmin)
    FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
    WHERE c.relnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT concat_ws('.', 'o', o.oid, o.xmin)
    FROM pg_policy AS o JOIN pg_class AS c ON c.oid = o.polrelid
    WHERE c.relnamespace = %(schema)s::regnamespace
) AS catalogue (row)
