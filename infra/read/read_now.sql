-- The server's clock, which records events; the last position; how many times jobs were pruned; and how
-- far a projection that follows the events has come.
SELECT clock_timestamp(), size,
       (SELECT version FROM events WHERE name = 'ledger/prunings' ORDER BY version DESC LIMIT 1),
       (SELECT position FROM projections WHERE name = %s)
FROM head
