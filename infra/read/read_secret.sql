-- What page tokens are signed with.
SELECT value FROM secrets WHERE name = 'page_token'
