-- The last event of each retention rule (see retention/rules.py); carried by events_version.
SELECT DISTINCT ON (read_json(data) ->> 'name') position, type, data, actor, recorded_time
FROM events
WHERE name = 'ledger/retention' AND schema = 0
ORDER BY read_json(data) ->> 'name', version DESC
