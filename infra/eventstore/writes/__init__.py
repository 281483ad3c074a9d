"""Pending writes, by kind: what the callers of one commit ask for."""
