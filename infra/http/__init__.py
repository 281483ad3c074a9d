"""The ledger over HTTP: Google's three job APIs, its own under `/ledger/v1`, and the pages."""
