-- Before which time jobs were pruned that were over by then: the latest there is.
SELECT max((convert_from(data, 'UTF8')::json ->> 'before')::timestamptz) FROM events WHERE name = 'ledger/prunings'
