"""Renders the pages as HTML, from Jinja templates that escape all values."""

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Final

import orjson
from jinja2 import Environment, FunctionLoader, StrictUndefined
from jobledger.infra.analytics.csv_file import write_csv
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.web import assets
from markupsafe import Markup

_PACKAGE: Final = "jobledger.infra.web"
_IN_SCRIPT: Final = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def render(template: str, **data: Any) -> str:
    """Renders the template with this data."""
    return _environment().get_template(template).render(data)


def time_shown(time: datetime | None) -> str:
    """Returns a time as `2011-05-01 23:10:00.5`: in UTC, without trailing zeros; "" for None."""
    if time is None:
        return ""
    shown = time.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
    return shown.rstrip("0") if time.microsecond else shown


def second_shown(time: datetime | None) -> str:
    """Returns a time to the second, as `2011-05-01 23:10:00`."""
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def number_shown(number: int) -> str:
    """Returns a number as `66,989`."""
    return f"{number:,}"


def json_text(value: Mapping[str, Any] | list[Any]) -> Markup:
    """Returns JSON that is safe in a <script type="application/json">."""
    # Characters that could end the element or begin a comment are escaped.
    return Markup(orjson.dumps(value).decode().translate(_IN_SCRIPT))  # noqa: S704


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Returns CSV (RFC 4180); times are RFC 3339, and no cell is a formula for a spreadsheet."""
    out = io.StringIO()
    write_csv(out, columns, ([_cell(value) for value in row] for row in rows))
    return out.getvalue()


def _cell(value: Any) -> Any:
    return time_text(value) if isinstance(value, datetime) else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "time": time_shown,
        "second": second_shown,
        "number": number_shown,
        "json": json_text,
    }
    environment.globals |= {"asset": assets.address}
    return environment


def _source(name: str) -> str:
    return resources.files(_PACKAGE).joinpath("templates", name).read_text("utf-8")
