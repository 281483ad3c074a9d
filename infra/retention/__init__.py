"""Retention: erasure of personal data, pruning of old jobs, and their archives."""
