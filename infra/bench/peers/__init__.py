"""Programs that stand beside the ledger, and programs that load it: one process each."""
