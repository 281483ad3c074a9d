"""Predictions that were recorded and sampled."""
