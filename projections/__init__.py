"""Projections: rows derived from events. One folder each, with SQL beside the Python that loads it."""
