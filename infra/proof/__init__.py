"""Proof: a tamper-evident history, in the open formats of transparency logs (C2SP)."""
