"""Exports: which events, in which format, with a signed manifest; and their verification."""
