"""Reads of one job or many, now or as of a moment on either clock."""
