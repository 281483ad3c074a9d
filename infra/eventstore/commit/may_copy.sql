-- Whether this role may write in bulk: only the ledger's owner may; others call append. So do all on a cluster of
-- Citus, which answers a COPY that fails without the SQLSTATE.
SELECT has_table_privilege('events', 'INSERT') AND has_table_privilege('jobs', 'INSERT')
   AND has_table_privilege('head', 'UPDATE') AND to_regproc('citus_schema_distribute') IS NULL
