"""Moments of a ledger: a version, a position, or a time on one of its two clocks; read from text."""

import re
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError


class Clock(StrEnum):
    """`recorded`: as we knew it then. `occurred`: as it happened, as far as we know now."""

    RECORDED = "recorded"
    OCCURRED = "occurred"


class AtVersion(NamedTuple):
    """After a job's event of that version."""

    version: int


class AtPosition(NamedTuple):
    """After the ledger's event at that position; 0 is before the first."""

    position: int


class AtTime(NamedTuple):
    """At that time (UTC) on a clock.

    On the occurred clock `known` is the position up to which reports count; None: all there are.
    """

    time: datetime
    clock: Clock = Clock.OCCURRED
    known: int | None = None


AsOf = AtVersion | AtPosition | AtTime


class Moment(NamedTuple):
    """What an answer holds for; asked again as of it, the answer is the same.

    Events up to `position` count, and on the occurred clock those that had occurred by `time` (UTC).
    """

    position: int
    time: datetime
    """On the recorded clock when the event at `position` was recorded, or the time asked for."""
    clock: Clock
    pruned_before: datetime | None = None
    """Jobs that were over by that time were pruned, and are in no answer; None: no job was."""

    @property
    def pruned_past(self) -> datetime | None:
        """The same, where it concerns the moment: jobs may be missing that were not over then."""
        is_past = self.pruned_before is not None and self.time < self.pruned_before
        return self.pruned_before if is_past else None

    @property
    def as_of(self) -> AsOf:
        """Just this moment, to ask again."""
        if self.clock is Clock.OCCURRED:
            return AtTime(self.time, self.clock, self.position)
        return AtPosition(self.position)

    def __str__(self) -> str:
        time = self.time.isoformat().replace("+00:00", "Z")
        return f"{time}@{self.position}" if self.clock is Clock.OCCURRED else f"@{self.position}"


_AGO: Final = re.compile(
    r"(?P<count>\d{1,9})\s*(?P<unit>s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)\s+ago"
)
_DAY: Final = re.compile(
    r"(?P<day>today|yesterday)(?:\s+(?P<at>\d{1,2}:\d\d(?::\d\d(?:\.\d{1,9})?)?))?"
)
_ISO: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?\s*(?:Z|[+-]\d\d:?\d\d)?)?",
    re.IGNORECASE,
)
_SPACE_BEFORE_ZONE: Final = re.compile(r"\s+(?=[Z+-])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
WANTED: Final = "vN, @POSITION, an ISO 8601 time, '2h ago', or 'yesterday 14:00'"


def parse_as_of(text: str, clock: Clock | str | None, now: datetime) -> AsOf:
    """A moment as people write it; raises InvalidFieldError.

    `v7`, `@4711`, `2026-11-22T10:00:00Z` (UTC, where it names no zone), `2h ago`,
    `yesterday 14:00`, or `TIME@POSITION`: as it happened up to that time, as far as that was known
    at that position. Times are on the occurred clock unless `clock` says otherwise, and cut to
    microseconds.
    """
    said, wanted = text.strip(), parse_clock(clock)
    if re.fullmatch(r"v\d{1,9}", said):
        return AtVersion(int(said[1:]))
    if re.fullmatch(r"@\d{1,18}", said):
        return AtPosition(int(said[1:]))
    time_said, at, known = said.partition("@")
    if at and not re.fullmatch(r"\d{1,18}", known):
        raise InvalidFieldError("as_of", f"{text!r} is none of {WANTED}")
    if at and wanted is Clock.RECORDED:
        raise InvalidFieldError("as_of", "a position is a moment of the recorded clock by itself")
    return AtTime(_time(time_said, now), wanted or Clock.OCCURRED, int(known) if at else None)


def parse_clock(clock: Clock | str | None) -> Clock | None:
    """Raises InvalidFieldError for what is neither clock."""
    if clock is None or clock in list(Clock):
        return None if clock is None else Clock(clock)
    raise InvalidFieldError("clock", f"{clock!r} is neither recorded nor occurred")


def _time(text: str, now: datetime) -> datetime:
    said = text.strip().lower()
    try:
        if said == "now":
            return now
        if ago := _AGO.fullmatch(said):
            return now - timedelta(**{_UNITS[ago["unit"][0]]: int(ago["count"])})
        if day := _DAY.fullmatch(said):
            at = time.fromisoformat(day["at"].rjust(5, "0")) if day["at"] else time()
            date = now.date() - timedelta(days=day["day"] == "yesterday")
            return datetime.combine(date, at, UTC)
        if _ISO.fullmatch(said):
            parsed = datetime.fromisoformat(_SPACE_BEFORE_ZONE.sub("", said.upper()))
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidFieldError("as_of", f"{text!r} is no time: {error}") from None
    if re.fullmatch(r"\d{1,4}[/.]\d{1,2}[/.]\d{1,4}.*|\d{1,2}:\d\d.*", said):
        raise InvalidFieldError("as_of", f"{text!r} is ambiguous; write {WANTED}")
    raise InvalidFieldError("as_of", f"{text!r} is none of {WANTED}")
