-- The server's clock, which records events; the last position; and how many times jobs were pruned.
SELECT clock_timestamp(), size,
       (SELECT version FROM events WHERE name = 'ledger/prunings' ORDER BY version DESC LIMIT 1)
FROM head
