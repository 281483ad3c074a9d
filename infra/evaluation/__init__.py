"""Evaluation jobs at work: sampled predictions, runs, labeling tasks, metrics."""
