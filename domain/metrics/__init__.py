"""Metrics: predictions compared with ground truth, and the agreement of annotators."""
