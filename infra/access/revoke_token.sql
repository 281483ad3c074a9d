-- From now on the token does not serve; one that was revoked before stays as it was.
UPDATE tokens SET revoke_time = now()
WHERE name = %(name)s AND revoke_time IS NULL
