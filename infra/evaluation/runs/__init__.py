"""Runs of evaluation jobs: when they are due, what they do, and the mail they send."""
