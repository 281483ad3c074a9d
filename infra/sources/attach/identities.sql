-- The replica identity of tables: DEFAULT, NOTHING, FULL, or the index that it is.
SELECT t AS "table",
       CASE c.relreplident WHEN 'd' THEN 'DEFAULT' WHEN 'n' THEN 'NOTHING' WHEN 'f' THEN 'FULL' ELSE x.relname END AS identity
FROM unnest(%(tables)s::text[]) AS t
JOIN pg_class AS c ON c.oid = to_regclass(t)
LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisreplident
LEFT JOIN pg_class AS x ON x.oid = i.indexrelid
