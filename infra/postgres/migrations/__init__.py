"""Numbered SQL files, each applied once and in order; a released one never changes."""
