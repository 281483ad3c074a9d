-- Finds the token whose secret has this SHA-256, even an expired or revoked one.
SELECT name, role, project, create_time, created_by, expire_time, revoke_time
FROM tokens
WHERE hash = %(hash)s
