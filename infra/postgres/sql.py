"""Statements live in .sql files beside the module that sends them, and are read once, at import."""

from __future__ import annotations

from importlib import resources


def load(package: str, name: str) -> bytes:
    """The text of `name`.sql in that package, as bytes (which psycopg takes as a literal query)."""
    return resources.files(package).joinpath(f"{name}.sql").read_bytes()
