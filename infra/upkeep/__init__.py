"""Upkeep of ledgers: projections made again from the events, verification, sizes, and capacity."""
