"""A filter's tree as SQL: columns from a closed table, operators from a closed table, values as parameters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, LiteralString, NamedTuple, assert_never

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.filters import All, Filter, Not, Restriction, Some
from jobledger.domain.states import JobState
from psycopg.sql import SQL, Composable, Composed, Placeholder


class Column(NamedTuple):
    """What a field is in SQL, and how its values are read."""

    expression: LiteralString
    read: Callable[[str, str], Any]


def _as_text(_: str, text: str) -> str:
    return text


def _as_state(field: str, text: str) -> str:
    if "*" not in text and text not in JobState.__members__:
        raise InvalidFieldError("filter", f"{field} is never {text!r}")
    return text


def _as_number(field: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InvalidFieldError("filter", f"{field} is a number, not {text!r}") from error


def _as_time(field: str, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidFieldError("filter", f"{field} is an RFC 3339 time, not {text!r}") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


COLUMNS: Final[dict[str, Column]] = {
    "name": Column("name", _as_text),
    "project": Column("project", _as_text),
    "kind": Column("kind", _as_text),
    "state": Column("state", _as_state),
    "version": Column("version", _as_number),
    "attempt": Column("attempt", _as_number),
    "create_time": Column("create_time", _as_time),
    "start_time": Column("start_time", _as_time),
    "end_time": Column("end_time", _as_time),
    "update_time": Column("update_time", _as_time),
    "error.code": Column("(error ->> 'code')::integer", _as_number),
    "error_message": Column("error_message", _as_text),
    "etag": Column("etag", _as_text),
    "display_name": Column("spec ->> 'displayName'", _as_text),
}
"""The fields a filter may name, in snake or camel case; beside them `labels.KEY` and `spec.PATH`."""

OPERATORS: Final[dict[str, LiteralString]] = {
    "=": "=",
    ":": "=",
    "!=": "<>",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}


def render(tree: Filter) -> tuple[Composable, dict[str, Any]]:
    """The condition and its parameters; raises InvalidFieldError for a field or value there is not."""
    parameters: dict[str, Any] = {}
    return _render(tree, parameters), parameters


def _render(tree: Filter, parameters: dict[str, Any]) -> Composable:
    match tree:
        case All(terms=()):
            return SQL("true")
        case All(terms=terms):
            return _joined(" AND ", [_render(term, parameters) for term in terms])
        case Some(terms=terms):
            return _joined(" OR ", [_render(term, parameters) for term in terms])
        case Not(term=term):
            return SQL("NOT {}").format(_render(term, parameters))
        case Restriction():
            return _restriction(tree, parameters)
        case _:
            assert_never(tree)


def _restriction(tree: Restriction, parameters: dict[str, Any]) -> Composable:
    """One comparison; an absent value is in no relation to anything."""
    expression, column = _column(tree.field, parameters)
    present = tree.value == "*" and tree.comparator in ("=", ":")
    if present:
        return SQL("({} IS NOT NULL)").format(expression)
    if _is_pattern(tree, column):
        pattern = _parameter(parameters, _like(tree.value))
        negated = SQL("NOT ") if tree.comparator == "!=" else SQL("")
        return SQL("({} {}LIKE {} IS TRUE)").format(expression, negated, pattern)
    value = _parameter(parameters, column.read(".".join(tree.field), tree.value))
    operator = SQL(OPERATORS[tree.comparator])
    return SQL("(({} {} {}) IS TRUE)").format(expression, operator, value)


def _column(field: tuple[str, ...], parameters: dict[str, Any]) -> tuple[Composable, Column]:
    match field:
        case ("labels", key):
            return SQL("(labels ->> {})").format(_parameter(parameters, key)), LABEL
        case ("spec", *path) if path:
            return SQL("(spec #>> {}::text[])").format(_parameter(parameters, path)), LABEL
    column = COLUMNS.get(".".join(_snake(part) for part in field))
    if column is None:
        raise InvalidFieldError("filter", f"there is no field {'.'.join(field)!r}")
    return SQL("({})").format(SQL(column.expression)), column


LABEL: Final = Column("", _as_text)


def _is_pattern(tree: Restriction, column: Column) -> bool:
    wild = tree.value.startswith("*") or tree.value.endswith("*")
    return wild and column.read in (_as_text, _as_state) and tree.comparator in ("=", "!=", ":")


def _like(value: str) -> str:
    """A LIKE pattern: `*` at an end stands for anything, all else for itself."""
    start, end = value.startswith("*"), value.endswith("*") and len(value) > 1
    inner = value[start : len(value) - end]
    escaped = inner.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return "%" * start + escaped + "%" * end


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _parameter(parameters: dict[str, Any], value: Any) -> Placeholder:
    name = f"f{len(parameters)}"
    parameters[name] = value
    return Placeholder(name)


def _joined(connective: LiteralString, parts: list[Composable]) -> Composed:
    return SQL("({})").format(SQL(connective).join(parts))
