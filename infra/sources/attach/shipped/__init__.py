"""Mappings of systems whose databases can be followed."""
