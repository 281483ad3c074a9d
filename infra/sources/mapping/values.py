"""Values of a record: fields by path, templates, conditions and times."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.sources.mapping.model import Conditions, Times

_FIELD: Final = re.compile(r"\{([^{}]+)\}")
UNITS: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Record = Mapping[str, Any]


def find(record: Record, path: str) -> Any:
    """Returns the value at a path such as `status.conditions`.

    Args:
        record: The record.
        path: Keys joined by dots; a key with dots is found whole, and a number is an index in a list.

    Returns:
        The value; None if there is none.
    """
    if path in record:
        return record[path]
    value: Any = record
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def items(record: Record, path: str) -> Iterable[Record]:
    """The record with each item of the list at a path, or each value of an object, as `item`."""
    found = find(record, path)
    if isinstance(found, Mapping):
        found = [{"key": key, "value": value, **_fields(value)} for key, value in found.items()]
    for number, item in enumerate(found if isinstance(found, list) else ()):
        yield {**record, "item": item, "number": number}


def _fields(value: Any) -> Record:
    return value if isinstance(value, Mapping) else {}


def fill(template: Any, record: Record) -> Any:
    """Fills the fields of a record into a template.

    Args:
        template: Any JSON; a text that is one field alone becomes the field's value.
        record: The record.

    Returns:
        The filled template, without keys of objects and items of lists whose fields are empty.
    """
    if isinstance(template, str):
        parts = _parts(template)
        if len(parts) == 3 and not parts[0] and not parts[2]:
            return _nothing_if_empty(find(record, parts[1]))
        return fill_text(template, record)
    if isinstance(template, Mapping):
        filled = {key: fill(part, record) for key, part in template.items()}
        return {key: value for key, value in filled.items() if value is not None} or None
    if isinstance(template, Sequence):
        return [value for part in template if (value := fill(part, record)) is not None] or None
    return template


def fill_text(template: str, record: Record) -> str | None:
    """The text with its fields filled in; None if one of them is empty."""
    texts, *rest = _parts(template)
    for field, text in zip(rest[::2], rest[1::2], strict=True):
        value = _nothing_if_empty(find(record, field))
        if value is None:
            return None
        texts += text_of(value) + text
    return texts


@lru_cache(maxsize=4096)
def _parts(template: str) -> tuple[str, ...]:
    """Texts and fields of a template in turns, a text first and last."""
    return tuple(_FIELD.split(template))


def text_of(value: Any) -> str:
    """A value as a text."""
    return (
        value
        if isinstance(value, str)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )


def _nothing_if_empty(value: Any) -> Any:
    return None if value in ("", [], {}) else value


def holds(when: Conditions, unless: Conditions, record: Record) -> bool:
    """Whether each field of `when` has one of its values, and none of `unless` has."""
    return all(_is_like(record, *each) for each in when.items()) and not any(
        _is_like(record, *each) for each in unless.items()
    )


def _is_like(record: Record, field: str, patterns: Iterable[str]) -> bool:
    value = _nothing_if_empty(find(record, field))
    values = value if isinstance(value, list) else [] if value is None else [value]
    return any(matches(text_of(each), patterns) is not None for each in values)


def matches(text: str, patterns: Iterable[str]) -> str | None:
    """The pattern that the text is like: the text itself before any with `*`."""
    known = list(patterns)
    if text in known:
        return text
    return next((each for each in known if "*" in each and fnmatchcase(text, each)), None)


def time_at(fields: str | Sequence[str], record: Record, times: Times) -> datetime | None:
    """Returns the time in a field, or a time some seconds after it.

    Args:
        fields: A field; of `FIELD | FIELD`, the first that has a time.
        record: The record.
        times: The form of times, and the zone of those without one.

    Returns:
        The time (UTC); None if there is none.

    Raises:
        InvalidFieldError: The value is not a time, or has no zone and none is configured.
    """
    first, *more = (fields,) if isinstance(fields, str) else fields
    first = _first_time(first, record, times)
    values = [find(record, field) for field in (first, *more)]
    if any(_is_nothing(value, times) for value in values):
        return None
    time = _time(first, values[0], times)
    for field, value in zip(more, values[1:], strict=True):
        time += timedelta(seconds=float(_number(field, value)))
    return time


def _first_time(fields: str, record: Record, times: Times) -> str:
    """The first of the fields that has a value; the last one, if none has."""
    *others, last = (field.strip() for field in fields.split("|"))
    return next((each for each in others if not _is_nothing(find(record, each), times)), last)


def _is_nothing(value: Any, times: Times) -> bool:
    return value is None or value == "" or text_of(value) in times.nothing


def _time(field: str, value: Any, times: Times) -> datetime:
    if times.format == "epoch":
        seconds = _number(field, value) / UNITS[times.unit]
        micros = int(seconds * UNITS["us"])
        try:
            return EPOCH + timedelta(microseconds=micros)
        except OverflowError:
            raise InvalidFieldError(field, f"{value!r:.80} is not a time in {times.unit}") from None
    try:
        text = text_of(value)
        time = (
            datetime.fromisoformat(text)
            if times.format == "iso"
            else datetime.strptime(text, times.format)  # noqa: DTZ007 - the zone follows
        )
    except ValueError:
        raise InvalidFieldError(field, f"{value!r:.80} is not a time ({times.format})") from None
    if time.tzinfo is not None:
        return time.astimezone(UTC)
    if times.zone is None:
        raise InvalidFieldError(field, f"{value!r:.80} has no zone: say it in times.zone")
    return time.replace(tzinfo=ZoneInfo(times.zone)).astimezone(UTC)


def _number(field: str, value: Any) -> Decimal:
    try:
        number = Decimal(text_of(value))
        if number.is_finite():
            return number
    except InvalidOperation:
        pass
    raise InvalidFieldError(field, f"{value!r:.80} is not a number")
