-- Which of these tables there are in the ledger.
SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename = ANY (%s)
