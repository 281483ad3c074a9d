-- The events that say what was pruned (see pruning.py of infra); carried by events_version.
SELECT position, data FROM events
WHERE name = 'ledger/prunings' AND schema = 0 AND type = 'Pruned' ORDER BY version
