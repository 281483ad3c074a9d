"""Imports of our own exports, and the origins of imported events."""
