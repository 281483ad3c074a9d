"""Erasure of personal data, pruning of old jobs, and the archives they leave."""
