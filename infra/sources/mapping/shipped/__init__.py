"""Mappings for formats that other systems publish."""
