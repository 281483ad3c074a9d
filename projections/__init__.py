"""Projections: rows derived from events. One folder each, with its SQL and the Python that loads it."""
