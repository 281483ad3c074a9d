-- The tables that a publication lacks.
SELECT t AS "table"
FROM unnest(%(tables)s::text[]) AS t
WHERE to_regclass(t) NOT IN (
    SELECT format('%%I.%%I', schemaname, tablename)::regclass
    FROM pg_publication_tables WHERE pubname = %(name)s
)
