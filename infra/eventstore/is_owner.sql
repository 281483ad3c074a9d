-- Whether the session is of the owner of events, whom `append` lets write events of the ledger's own.
SELECT session_user = pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'events'::regclass
