-- What following changes takes: the server's setting, and the role's right.
SELECT current_setting('wal_level') AS wal_level, current_user AS role,
       coalesce((SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user), false) AS may_replicate
