"""Verification of the log and of all rows, and the damage it names."""
