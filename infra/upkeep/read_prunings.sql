-- How many prunings the ledger has recorded; carried by events_version.
SELECT coalesce(max(version), 0) FROM events WHERE name = 'ledger/prunings' AND schema = 0
