-- Whether any token is valid now, and whether any was ever created.
SELECT EXISTS (
           SELECT FROM tokens
           WHERE revoke_time IS NULL AND (expire_time IS NULL OR expire_time > now())
       ),
       EXISTS (SELECT FROM tokens)
