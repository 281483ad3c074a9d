"""Commands that record and read jobs."""
