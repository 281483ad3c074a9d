-- The events that say what was pruned (see retention/prune.py); carried by events_version.
SELECT position, data, recorded_time, actor FROM events
WHERE name = 'ledger/prunings' AND schema = 0 AND type = 'Pruned' ORDER BY version
