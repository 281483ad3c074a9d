-- The names of the ledgers in this database, whether they may be read or not.
SELECT substr(n.nspname::text, length('ledger_') + 1)
FROM pg_namespace AS n
JOIN pg_class AS c ON c.relnamespace = n.oid
WHERE c.relname = 'migrations' AND n.nspname LIKE 'ledger\_%'
ORDER BY 1
