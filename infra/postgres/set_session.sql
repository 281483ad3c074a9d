-- The settings that this program relies on, which override those of the server, database, role or pooler: the
-- ledger's schema, how values and definitions are written, complete answers of an index, transactions that see
-- each other's commits, a commit that is durable when it is answered, no timeout of idle connections, and the
-- end of a session, with its locks, once its client's machine does not answer any more. Also returns the
-- session's process.
SELECT set_config('search_path', %s, false), set_config('TimeZone', 'UTC', false),
       set_config('jit', 'off', false), set_config('DateStyle', 'ISO, MDY', false),
       set_config('IntervalStyle', 'postgres', false), set_config('bytea_output', 'hex', false),
       set_config('standard_conforming_strings', 'on', false),
       set_config('quote_all_identifiers', 'off', false), set_config('gin_fuzzy_search_limit', '0', false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('idle_session_timeout', '0', false), set_config('tcp_keepalives_idle', '60', false),
       set_config('tcp_keepalives_interval', '10', false), set_config('tcp_keepalives_count', '3', false),
       set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                  WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
       pg_backend_pid()
