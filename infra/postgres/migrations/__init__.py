"""Numbered SQL files, applied once each and in order; a landed one never changes."""
