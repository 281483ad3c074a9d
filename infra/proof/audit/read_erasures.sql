-- The events that say whose keys were erased (see erasing.py of infra); carried by events_version.
SELECT position, data FROM events
WHERE name = 'ledger/erasures' AND schema = 0 AND type = 'Erased' ORDER BY version
