"""SQL templates: `{name}` is a placeholder, `{{` and `}}` are braces, as in psycopg.sql."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple


class Template(NamedTuple):
    """SQL text, and the value of each placeholder: SQL, or another template."""

    text: str
    parts: Mapping[str, str | Template] = {}


def read(package: str, name: str) -> str:
    """Returns the text of the package's file `name`.sql."""
    return resources.files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")
