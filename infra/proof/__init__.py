"""Proof: a history that nobody can change unseen, in the open formats of transparency logs (C2SP)."""
