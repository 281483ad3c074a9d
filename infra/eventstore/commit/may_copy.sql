-- Whether this role may write in bulk: only the ledger's owner may; others call append.
SELECT has_table_privilege('events', 'INSERT') AND has_table_privilege('jobs', 'INSERT')
   AND has_table_privilege('head', 'UPDATE')
