-- Tables, views, columns and functions of a schema that have no comment.
SELECT oid::regclass::text FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v', 'm', 'p')
  AND obj_description(oid, 'pg_class') IS NULL
UNION ALL
SELECT concat_ws('.', attrelid::regclass, attname) FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p') AND attnum > 0
  AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL
UNION ALL
SELECT oid::regprocedure::text FROM pg_proc
WHERE pronamespace = current_schema()::regnamespace AND obj_description(oid, 'pg_proc') IS NULL
ORDER BY 1
