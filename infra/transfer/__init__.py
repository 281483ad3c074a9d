"""Imports and exports of histories, certified files, and simulated histories."""
