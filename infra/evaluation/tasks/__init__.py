"""Labeling tasks: examples without ground truth, and the answers of human labelers."""
