"""The ledger's own API under `/ledger/v1`."""
