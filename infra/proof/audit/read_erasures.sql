-- The events that say whose keys were erased (see retention/erase.py); carried by events_version.
SELECT position, data, recorded_time, actor FROM events
WHERE name = 'ledger/erasures' AND schema = 0 AND type = 'Erased' ORDER BY version
