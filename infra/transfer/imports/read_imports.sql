-- What was imported from exports of other ledgers, oldest first.
SELECT data FROM events WHERE name = %s ORDER BY version
