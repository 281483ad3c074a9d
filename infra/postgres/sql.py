"""Statements are in .sql files next to the module that sends them, and are read once, at import.

A statement with places is a template: `{name}` is a place, `{{` and `}}` are braces, and psycopg's
`SQL.format` fills it. Values are parameters, `%s` or `%(name)s`, and never fill places.
"""

from importlib import resources

from jobledger.projections.template import Template
from psycopg.sql import SQL, Composed


def load(package: str, name: str) -> bytes:
    """The text of `name`.sql in that package, as bytes (which psycopg takes as a literal query)."""
    return resources.files(package).joinpath(f"{name}.sql").read_bytes()


def template(package: str, name: str) -> SQL:
    """The same as a template."""
    return SQL(load(package, name).decode())


def render(*templates: Template) -> Composed:
    """A projection's templates, filled in, one after the other."""
    return SQL("\n").join(map(_fill, templates))


def _fill(template: Template) -> Composed:
    parts = {
        name: _fill(part) if isinstance(part, Template) else SQL(part)
        for name, part in template.parts.items()
    }
    return SQL(template.text).format(**parts)
