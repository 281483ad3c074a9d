"""Projections made again from the events: rebuild, rehearsal of a new version, verification."""
