"""Reads the values of a record: paths, templates and conditions, each compiled into a function once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final

import orjson
from jobledger.infra.sources.mapping.model import Conditions

_FIELD: Final = re.compile(r"\{([^{}]+)\}")
PLAIN: Final = frozenset({str, int, float, bool, type(None)})
"""Types that JSON has, too."""

Record = Mapping[str, Any]
Read = Callable[[Record], Any]
ReadText = Callable[[Record], str | None]
Test = Callable[[Record], bool]


@lru_cache(maxsize=4096)
def field(path: str) -> Read:
    """Returns a function that reads the value at a path such as `status.conditions`.

    Args:
        path: Keys joined by dots; a last key with dots is found whole, a number is an index in a list, of
            which -1 is the last item, and a text that is JSON is read. Of `PATH | PATH`, the first that has a value counts.

    Returns:
        A function of a record; it returns None if there is no value.
    """
    if "|" in path:
        return _first_of([field(each.strip()) for each in path.split("|")])
    parts = path.split(".")
    if len(parts) == 1:
        return lambda record: record.get(path)

    def read(record: Record) -> Any:
        return record[path] if path in record else _at(record, parts)

    return read


def _first_of(reads: Sequence[Read]) -> Read:
    def read(record: Record) -> Any:
        values = (each(record) for each in reads)
        return next((each for each in values if _nothing_if_empty(each) is not None), None)

    return read


def _at(value: Any, parts: Sequence[str]) -> Any:
    for number, part in enumerate(parts):
        if isinstance(value, str):
            value = _read_json(value)
        if isinstance(value, Mapping):
            if part not in value:
                return value.get(".".join(parts[number:]))
            value = value[part]
        elif isinstance(value, list) and (index := _index(part, value)) is not None:
            value = value[index]
        else:
            return None
    return value


def _index(part: str, items: Sequence[Any]) -> int | None:
    index = int(part) if part.removeprefix("-").isdecimal() else len(items)
    return index if -len(items) <= index < len(items) else None


def _read_json(text: str) -> Any:
    """Returns the object or list in a JSON text; None if it is neither."""
    try:
        return orjson.loads(text) if text[:1] in ("{", "[") else None
    except orjson.JSONDecodeError:
        return None


def find(record: Record, path: str) -> Any:
    """Returns the value at a path of a record; None if there is none."""
    return field(path)(record)


def items(record: Record, path: str) -> Iterable[Record]:
    """Yields the record with each item of the list at a path, or each value of an object, as `item`."""
    found = find(record, path)
    if isinstance(found, Mapping):
        found = [{"key": key, "value": value, **_fields(value)} for key, value in found.items()]
    for number, item in enumerate(found if isinstance(found, list) else ()):
        yield {**record, "item": item, "number": number}


def _fields(value: Any) -> Record:
    return value if isinstance(value, Mapping) else {}


def filled(template: Any) -> Read:
    """Returns a function that fills the fields of a record into a template.

    Args:
        template: Any JSON; a text that is one field alone becomes the field's value.

    Returns:
        A function of a record: the filled template as JSON has it, without keys of objects and items
        of lists whose fields are empty; None if nothing is left.
    """
    if isinstance(template, str):
        parts = _parts(template)
        if len(parts) == 3 and not parts[0] and not parts[2]:
            return _filled_value(parts[1])
        return filled_text(template)
    if isinstance(template, Mapping):
        return _filled_object({str(key): filled(part) for key, part in template.items()})
    if isinstance(template, Sequence):
        reads = [filled(part) for part in template]
        return lambda record: (
            [value for read in reads if (value := read(record)) is not None] or None
        )
    constant = plain(template)
    return lambda record: constant


def _filled_value(path: str) -> Read:
    """Returns a function that reads a field's value as JSON; it returns None for an empty value."""
    read = field(path)

    def value_of(record: Record) -> Any:
        value = read(record)
        if type(value) is str:
            return value or None
        return value if type(value) is int else plain(_nothing_if_empty(value))

    return value_of


def _filled_object(reads: Mapping[str, Read]) -> Read:
    pairs = tuple(reads.items())

    def read(record: Record) -> Any:
        found = {}
        for key, each in pairs:
            if (value := each(record)) is not None:
                found[key] = value
        return found or None

    return read


def filled_text(template: str) -> ReadText:
    """Returns a function that fills a text with fields; it returns None if one of them is empty."""
    first, *rest = _parts(template)
    if len(rest) == 2:
        return _one_filled(first, *rest)
    pairs = tuple((field(path), text) for path, text in zip(rest[::2], rest[1::2], strict=True))

    def read(record: Record) -> str | None:
        texts = first
        for each, text in pairs:
            value = each(record)
            if type(value) is str and value:
                texts += value + text
            elif _nothing_if_empty(value) is None:
                return None
            else:
                texts += text_of(value) + text
        return texts

    return read


def _one_filled(before: str, path: str, after: str) -> ReadText:
    """Does the same as `filled_text` for a text with one field."""
    read = field(path)

    def filled_one(record: Record) -> str | None:
        value = read(record)
        if type(value) is str:
            return before + value + after if value else None
        if type(value) is int:
            return f"{before}{value}{after}"
        return None if _nothing_if_empty(value) is None else before + text_of(value) + after

    return filled_one


def _parts(template: str) -> tuple[str, ...]:
    """Returns the texts and fields of a template alternately; the first and the last are texts."""
    return tuple(_FIELD.split(template))


def text_of(value: Any) -> str:
    """Returns a value as text."""
    if isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def plain(value: Any) -> Any:
    """Returns a value as JSON; times and other types become texts."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float) else str(value)


def _nothing_if_empty(value: Any) -> Any:
    return None if value in ("", [], {}) else value


def condition(when: Conditions, unless: Conditions) -> Test | None:
    """Returns a test whether each field of `when` has one of its values, and no field of `unless` does.

    Args:
        when: By field, patterns with `*`.
        unless: The same.

    Returns:
        A function of a record; None if there is no condition.
    """
    wanted = [_is_like(*each) for each in when.items()]
    refused = [_is_like(*each) for each in unless.items()]
    if not refused:
        return _all(wanted)
    return lambda record: (
        all(test(record) for test in wanted) and not any(test(record) for test in refused)
    )


def _all(tests: Sequence[Test]) -> Test | None:
    """Returns a test whether all of the tests are true; None if there are none."""
    if not tests:
        return None
    first, *rest = tests
    if (following := _all(rest)) is None:
        return first
    return lambda record: first(record) and following(record)


def _is_like(path: str, patterns: Iterable[str]) -> Test:
    read, match = field(path), matcher(patterns)
    exact = frozenset(patterns) - {""}

    def test(record: Record) -> bool:
        value = read(record)
        if type(value) is str and value in exact:
            return True
        if isinstance(value, list):
            return any(match(text_of(each)) is not None for each in value)
        value = _nothing_if_empty(value)
        return value is not None and match(text_of(value)) is not None

    return test


def matcher(patterns: Iterable[str]) -> Callable[[str], str | None]:
    """Returns a function that finds the pattern that a text matches: an equal one before those with `*`."""
    known = list(patterns)
    exact, wild = frozenset(known), [each for each in known if "*" in each]

    def match(text: str) -> str | None:
        if text in exact:
            return text
        return next((each for each in wild if fnmatchcase(text, each)), None)

    return match
