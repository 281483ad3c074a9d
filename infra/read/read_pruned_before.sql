-- Before which time jobs were pruned that were over by then, the latest there is; and where that was recorded last.
SELECT max((convert_from(data, 'UTF8')::json ->> 'before')::timestamptz), coalesce(max(position), 0)
FROM events WHERE name = 'ledger/prunings'
