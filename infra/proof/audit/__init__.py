"""Verification of the log and of all rows; damage is named."""
