-- What a second session names to see the same moment, while this transaction lasts.
SELECT pg_export_snapshot()
