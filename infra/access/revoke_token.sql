-- Revokes a token; the time of an earlier revocation stays.
UPDATE tokens SET revoke_time = now()
WHERE name = %(name)s AND revoke_time IS NULL
