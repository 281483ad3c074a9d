"""Which projections there are."""

from __future__ import annotations

from importlib import resources
from typing import Final, NamedTuple


class Projection(NamedTuple):
    """Rows derived from events by a fold. A change of meaning or columns is a new version."""

    name: str
    version: int
    schema: bytes
    """Makes the empty table, in whatever schema the search_path names first."""
    functions: bytes
    """Makes `fold_NAME(first, last)`, and what else the projection needs."""


def _projection(name: str, version: int) -> Projection:
    files = resources.files(f"jobledger.projections.{name}")
    functions = b"".join(files.joinpath(f"{part}.sql").read_bytes() for part in ("fold", "write"))
    return Projection(name, version, files.joinpath("schema.sql").read_bytes(), functions)


PROJECTIONS: Final = (_projection("jobs", version=2),)
