-- The schema that the function `append` works in, unless it is the connection's: the ledger's schema was renamed.
SELECT split_part(split_part(setting, ', ', 1), '=', 2)
FROM pg_proc AS p, unnest(p.proconfig) AS setting
WHERE p.proname = 'append' AND p.pronamespace = current_schema()::regnamespace
  AND setting LIKE 'search\_path=%' AND setting <> concat('search_path=', quote_ident(current_schema()), ', pg_temp')
