"""Data Labeling v1beta1: evaluation jobs and evaluations."""
