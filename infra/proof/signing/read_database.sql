-- The identity of the database: the identifier of its server, which a standby has, too, and its number there.
SELECT CASE WHEN has_function_privilege('pg_control_system()', 'execute')
            THEN (SELECT system_identifier FROM pg_control_system()) END,
       oid, current_schema()
FROM pg_database WHERE datname = current_database()
