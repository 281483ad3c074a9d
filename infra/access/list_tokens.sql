-- All tokens there ever were, oldest first.
SELECT name, role, project, create_time, created_by, expire_time, revoke_time
FROM tokens
ORDER BY create_time, name
