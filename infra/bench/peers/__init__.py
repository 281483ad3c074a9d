"""Peers of the ledger, and programs that put load on it: one process each."""
