-- A table's columns in one schema: whether the table in another schema has each, too, and whether
-- it is part of its key.
SELECT c.column_name::text,
       EXISTS (SELECT FROM information_schema.columns AS o
               WHERE o.table_schema = %(live)s AND o.table_name = c.table_name AND o.column_name = c.column_name),
       EXISTS (SELECT FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
               WHERE i.indisprimary AND a.attname = c.column_name
                 AND i.indrelid = format('%%I.%%I', c.table_schema, c.table_name)::regclass)
FROM information_schema.columns AS c
WHERE c.table_schema = %(rebuilt)s AND c.table_name = %(table)s
ORDER BY c.ordinal_position
