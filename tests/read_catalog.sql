-- What defines a schema: a sum over each catalogue row of it, with the transaction that wrote it last.
WITH classes AS MATERIALIZED (SELECT oid, xmin FROM pg_class WHERE relnamespace = %(schema)s::regnamespace)
SELECT sum(hashint8extended(id::bigint, version::text::bigint)) FROM (
    SELECT oid, xmin FROM pg_namespace WHERE oid = %(schema)s::regnamespace
    UNION ALL
    SELECT oid, xmin FROM classes
    UNION ALL
    SELECT oid, xmin FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT oid, xmin FROM pg_type WHERE typnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT oid, xmin FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT oid, xmin FROM pg_statistic_ext WHERE stxnamespace = %(schema)s::regnamespace
    UNION ALL
    SELECT attrelid, xmin FROM pg_attribute
    WHERE attrelid = ANY (ARRAY(SELECT oid FROM classes)) AND attnum > 0
    UNION ALL
    SELECT oid, xmin FROM pg_attrdef WHERE adrelid = ANY (ARRAY(SELECT oid FROM classes))
    UNION ALL
    SELECT indexrelid, xmin FROM pg_index WHERE indexrelid = ANY (ARRAY(SELECT oid FROM classes))
    UNION ALL
    SELECT oid, xmin FROM pg_trigger WHERE tgrelid = ANY (ARRAY(SELECT oid FROM classes))
    UNION ALL
    SELECT oid, xmin FROM pg_rewrite WHERE ev_class = ANY (ARRAY(SELECT oid FROM classes))
    UNION ALL
    SELECT oid, xmin FROM pg_policy WHERE polrelid = ANY (ARRAY(SELECT oid FROM classes))
) AS catalogue (id, version)
