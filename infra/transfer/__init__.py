"""Histories in and out: importers, exports, certified files, simulated histories."""
