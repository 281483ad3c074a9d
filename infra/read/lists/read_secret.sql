-- The secret that signs page tokens.
SELECT value FROM secrets WHERE name = 'page_token'
