"""Histories that other systems report: OpenLineage events, and files that a mapping describes."""
