-- The schema of the ledger.
SELECT current_schema()
