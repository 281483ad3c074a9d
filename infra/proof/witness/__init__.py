"""Witnesses: a witness of our own, and cosignatures requested from others."""
