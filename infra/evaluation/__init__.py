"""Evaluation jobs at work: samples, runs, labels, measures."""
