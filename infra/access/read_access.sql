-- Whether any token serves now, and whether there ever was one.
SELECT EXISTS (
           SELECT FROM tokens
           WHERE revoke_time IS NULL AND (expire_time IS NULL OR expire_time > now())
       ),
       EXISTS (SELECT FROM tokens)
