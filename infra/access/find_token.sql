-- The token whose secret has this SHA-256, also one that no longer serves.
SELECT name, role, project, create_time, created_by, expire_time, revoke_time
FROM tokens
WHERE hash = %(hash)s
