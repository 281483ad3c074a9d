"""Compares and sorts values in JSON by their type: numbers as numbers, times as times.

- A number is compared as a number; with what is no number it has no order.
- `true` and `false` are compared as such.
- A text is equal to the same text. Two times (RFC 3339, with a zone) are compared as times; a text
  that is a plain number has the order of numbers among such. Any other has the order of its
  code points.
- A list or an object is equal to its JSON, and has no order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, LiteralString, NamedTuple

from jobledger.domain.values.times import INSTANT, read_instant
from psycopg.sql import SQL, Composable

NUMBER: Final = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
"""A number in a filter."""
PLAIN_NUMBER: Final = r"^-?[0-9]{1,100}(\.[0-9]{1,100})?$"
"""A text that is a number, but has no exponent, as it might be an id."""
BOOLEANS: Final = frozenset({"true", "false"})
ORDERED: Final = frozenset({"<", "<=", ">", ">="})

Parameter = Callable[[Any], Composable]


class JsonField(NamedTuple):
    """A value in a job's JSON: as JSON (None if it is always text), and as text."""

    value: Composable | None
    text: Composable


def compared(
    field: JsonField, comparator: LiteralString, literal: str, parameter: Parameter
) -> Composable:
    """Returns the comparison of the field with a filter's value; null if they cannot be compared."""
    number = Decimal(literal) if NUMBER.fullmatch(literal) else None
    time = read_instant(literal)
    by_text = SQL("({} {} {})").format(_c(field.text), SQL(comparator), parameter(literal))
    if comparator not in ORDERED and number is None and time is None:
        return by_text
    as_text = _of_text(field.text, comparator, by_text, number, time, parameter)
    if field.value is None:
        return as_text
    return SQL(
        "(CASE json_typeof({value}) WHEN 'number' THEN {numbers} WHEN 'string' THEN {texts}"
        " WHEN 'boolean' THEN {booleans} ELSE {others} END)"
    ).format(
        value=field.value,
        numbers=_of_number(field.text, comparator, number, parameter),
        texts=as_text,
        booleans=by_text if comparator not in ORDERED or literal in BOOLEANS else SQL("NULL"),
        others=SQL("NULL") if comparator in ORDERED else by_text,
    )


def compares_otherwise(literal: str) -> bool:
    """Whether a filter's value is also compared as a number or a time, or cannot be in a JSON text."""
    is_number = NUMBER.fullmatch(literal) is not None
    return is_number or read_instant(literal) is not None or not literal.isprintable()


def _of_number(
    text: Composable, comparator: LiteralString, number: Decimal | None, parameter: Parameter
) -> Composable:
    if number is None:
        return (
            SQL("NULL") if comparator in ORDERED else SQL("true" if comparator == "<>" else "false")
        )
    return SQL("{}::numeric {} {}").format(text, SQL(comparator), parameter(number))


def _of_text(
    text: Composable,
    comparator: LiteralString,
    by_text: Composable,
    number: Decimal | None,
    time: datetime | None,
    parameter: Parameter,
) -> Composable:
    if time is not None:
        return SQL("(CASE WHEN {text} ~ {pattern} THEN {as_time} {operator} {time} ELSE {by_text} END)").format(
            text=text, pattern=SQL(_literal(INSTANT)), as_time=_as_time(text),
            operator=SQL(comparator), time=parameter(time), by_text=by_text,
        )  # fmt: skip
    if number is not None and comparator in ORDERED:
        return SQL("(CASE WHEN {text} ~ {pattern} THEN {text}::numeric {operator} {number} ELSE {by_text} END)").format(
            text=text, pattern=SQL(_literal(PLAIN_NUMBER)), operator=SQL(comparator),
            number=parameter(number), by_text=by_text,
        )  # fmt: skip
    return by_text


def ordered(field: JsonField) -> list[Composable]:
    """Returns the sort order: numbers, then times, then other values as text; missing values are null."""
    is_number = SQL("{} ~ {}").format(field.text, SQL(_literal(PLAIN_NUMBER)))
    is_time = SQL("{} ~ {}").format(field.text, SQL(_literal(INSTANT)))
    if field.value is not None:
        kind = SQL("json_typeof({})").format(field.value)
        is_number = SQL("({k} = 'number' OR {k} = 'string' AND {n})").format(k=kind, n=is_number)
        is_time = SQL("({} = 'string' AND {})").format(kind, is_time)
    parts = {
        "text": field.text,
        "number": is_number,
        "time": is_time,
        "as_time": _as_time(field.text),
    }
    return [
        SQL("CASE WHEN {text} IS NULL THEN NULL WHEN {number} THEN 0 WHEN {time} THEN 1 ELSE 2 END").format(**parts),
        SQL("CASE WHEN {number} THEN {text}::numeric WHEN {time} THEN extract(epoch FROM {as_time}) END").format(**parts),
        _c(field.text),
    ]  # fmt: skip


def _as_time(text: Composable) -> Composable:
    """Returns the time truncated to microseconds, because PostgreSQL would round it."""
    return SQL(r"regexp_replace({}, '(\.[0-9]{{6}})[0-9]+', '\1')::timestamptz").format(text)


def _c(text: Composable) -> Composable:
    return SQL('{} COLLATE "C"').format(text)


def _literal(pattern: LiteralString) -> LiteralString:
    """Returns a pattern of this module as an SQL literal."""
    return "'" + pattern + "'"
