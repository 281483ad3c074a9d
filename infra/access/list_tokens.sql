-- Lists all tokens, expired and revoked ones too, oldest first.
SELECT name, role, project, create_time, created_by, expire_time, revoke_time
FROM tokens
ORDER BY create_time, name
