-- Inserts a new token; no row if the name was ever used.
INSERT INTO tokens (name, hash, role, project, created_by, expire_time)
VALUES (%(name)s, %(hash)s, %(role)s, %(project)s, %(created_by)s, %(expire_time)s)
ON CONFLICT (name) DO NOTHING
RETURNING name
