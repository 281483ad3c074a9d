"""Vertex AI v1: custom, batch prediction, tuning and pipeline jobs."""
