"""SQL with named places: `{name}` is a place, `{{` and `}}` are braces, as in psycopg.sql."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple


class Template(NamedTuple):
    """A text, and what fills each of its places: SQL, or another template."""

    text: str
    parts: Mapping[str, str | Template] = {}


def read(package: str, name: str) -> str:
    """The text of `name`.sql in that package."""
    return resources.files(package).joinpath(f"{name}.sql").read_text()
