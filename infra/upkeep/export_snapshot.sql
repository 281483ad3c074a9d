-- Exports the snapshot of this transaction for a second session.
SELECT pg_export_snapshot()
