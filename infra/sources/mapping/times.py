"""Reads the times of a record from one or several fields, as the mapping describes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.times import parse_iso
from jobledger.infra.sources.mapping.model import Times
from jobledger.infra.sources.mapping.values import Read, Record, field, text_of

UNITS: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MAX_DIGITS: Final = 15
"""The most digits of an integer that a float represents exactly."""

COMMIT_TIME: Final = "commit_time"
_ISO: Final = Times()

ReadTime = Callable[[Record], datetime | None]
Parse = Callable[[str, Any], datetime]


class _Choice(NamedTuple):
    """A field that may hold a time."""

    path: str
    read: Read
    parse: Parse


def time_of(fields: str | Sequence[str], times: Times) -> ReadTime:
    """Returns a function that reads the time in a field, or a time some seconds after it.

    Args:
        fields: A field; of `FIELD | FIELD`, the first that has a time, and of `FIELD & FIELD` the earliest.
            The seconds are in further ones.
        times: The form of times, and the zone of those without one.

    Returns:
        A function of a record. It returns the time (UTC), or None if there is none, and raises
        InvalidFieldError if the value is not a time, or has no zone and none is configured.
    """
    if isinstance(fields, str) and "&" in fields:
        return _earliest([time_of(each, times) for each in fields.split("&")])
    first, *more = (fields,) if isinstance(fields, str) else fields
    parse = _parser(times)
    paths = [each.strip() for each in first.split("|")]
    choices = [
        _Choice(path, field(path), _parse_commit if path == COMMIT_TIME else parse)
        for path in paths
    ]
    seconds = [(path, field(path)) for path in more]
    nothing = frozenset(times.nothing)
    if len(choices) == 1 and not seconds:
        return _one_time(choices[0], nothing)

    def read(record: Record) -> datetime | None:
        found = _first(choices, record, nothing)
        values = [each(record) for _, each in seconds]
        if found is None or any(_is_nothing(value, nothing) for value in values):
            return None
        choice, value = found
        time = choice.parse(choice.path, value)
        for (path, _), value in zip(seconds, values, strict=True):
            time = _later(time, path, value)
        return time

    return read


def _earliest(times: Sequence[ReadTime]) -> ReadTime:
    def earliest(record: Record) -> datetime | None:
        found = [time for read in times if (time := read(record)) is not None]
        return min(found, default=None)

    return earliest


def _one_time(choice: _Choice, nothing: frozenset[str]) -> ReadTime:
    """Does the same as `time_of` for one field."""
    path, read, parse = choice

    def time(record: Record) -> datetime | None:
        value = read(record)
        return None if _is_nothing(value, nothing) else parse(path, value)

    return time


def _first(
    choices: Sequence[_Choice], record: Record, nothing: frozenset[str]
) -> tuple[_Choice, Any] | None:
    """Returns the first field that has a value, and the value."""
    for choice in choices:
        value = choice.read(record)
        if not _is_nothing(value, nothing):
            return choice, value
    return None


def _is_nothing(value: Any, nothing: frozenset[str]) -> bool:
    return value is None or value == "" or (bool(nothing) and text_of(value) in nothing)


def _parse_commit(path: str, value: Any) -> datetime:
    """The time of a commit, which `attach` adds to each change, whatever the form of the others."""
    return _read(path, value, _ISO, datetime.fromisoformat)


def _parser(times: Times) -> Parse:
    if times.format == "epoch":
        return _epoch_parser(times.unit)
    if times.format == "iso":
        return lambda path, value: _read(path, value, times, parse_iso)
    return lambda path, value: _read(
        path,
        value,
        times,
        lambda text: datetime.strptime(text, times.format),  # noqa: DTZ007 - the zone follows
    )


def _read(path: str, value: Any, times: Times, read: Callable[[str], datetime]) -> datetime:
    try:
        time = read(text_of(value))
    except ValueError:
        raise InvalidFieldError(path, f"{value!r:.80} is not a time ({times.format})") from None
    if time.tzinfo is UTC:
        return time
    if time.tzinfo is None:
        if times.zone is None:
            raise InvalidFieldError(path, f"{value!r:.80} has no zone: say it in times.zone")
        time = time.replace(tzinfo=ZoneInfo(times.zone))
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise InvalidFieldError(
            path, f"{value!r:.80} is not within the years 1 to 9999, in UTC"
        ) from None


def _epoch_parser(unit: str) -> Parse:
    divisor = UNITS[unit]

    def parse(path: str, value: Any) -> datetime:
        number = _number(path, value)
        try:
            if isinstance(number, int):
                return EPOCH + timedelta(microseconds=number * UNITS["us"] // divisor)
            return EPOCH + timedelta(microseconds=int(number / divisor * UNITS["us"]))
        except OverflowError:
            raise InvalidFieldError(path, f"{value!r:.80} is not a time in {unit}") from None

    return parse


def _later(time: datetime, path: str, value: Any) -> datetime:
    """Returns the time so many seconds later."""
    try:
        return time + timedelta(seconds=float(_number(path, value)))
    except OverflowError:
        raise InvalidFieldError(path, f"{value!r:.80} is too many seconds") from None


def _number(path: str, value: Any) -> Decimal | int:
    """Returns the number in a value; an int if it is integral, not negative and short."""
    text = text_of(value)
    if len(text) <= MAX_DIGITS and text.isascii() and text.isdigit():
        return int(text)
    try:
        number = Decimal(text)
        if number.is_finite():
            return number
    except InvalidOperation:
        pass
    raise InvalidFieldError(path, f"{value!r:.80} is not a number")
