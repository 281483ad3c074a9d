"""The ledger over HTTP: Google's three job APIs, and its own under `/ledger/v1`."""
