"""Moments of a ledger: a version, a position, or a time on one of two clocks, and their text forms."""

import re
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.arguments import text_of
from jobledger.domain.values.times import parse_iso, utc_text


class Clock(StrEnum):
    """The two clocks of a bitemporal ledger.

    `OCCURRED` is valid time: when it happened, as far as is known now. `RECORDED` is transaction
    time: as the ledger knew it then.
    """

    RECORDED = "recorded"
    OCCURRED = "occurred"


class AtVersion(NamedTuple):
    """The moment after a job's event of that version."""

    version: int


class AtPosition(NamedTuple):
    """The moment after the event at that position; 0 is before the first event."""

    position: int


class AtTime(NamedTuple):
    """A time (UTC) on a clock.

    In valid time, `known` is the position up to which events count; None counts all events.
    """

    time: datetime
    clock: Clock = Clock.OCCURRED
    known: int | None = None


AsOf = AtVersion | AtPosition | AtTime


class Moment(NamedTuple):
    """A pinned moment: the same question as of it always has the same answer.

    Attributes:
        position: Events up to this position count.
        time: In valid time: events that had occurred by this time (UTC) count. In transaction time:
            when the event at `position` was recorded, or the time asked for.
        clock: The clock.
        pruned_before: Jobs that ended before this time (UTC) were pruned, and are in no answer;
            None if no job was pruned.
        pruned_since: Whether jobs were pruned after `position`; as of this moment, answers had them
            before.

    Examples:
        >>> moment = ledger.moment()
        >>> ledger.moment(moment) == moment
        True
    """

    position: int
    time: datetime
    clock: Clock
    pruned_before: datetime | None = None
    pruned_since: bool = False

    @property
    def pruned_past(self) -> datetime | None:
        """The time of `pruned_before` if jobs may be missing as of this moment; else None."""
        before = self.pruned_before
        is_past = before is not None and (self.pruned_since or self.time < before)
        return before if is_past else None

    @property
    def as_of(self) -> AsOf:
        """The value that gives exactly this moment when it is passed as `as_of`."""
        if self.clock is Clock.OCCURRED:
            return AtTime(self.time, self.clock, self.position)
        return AtPosition(self.position)

    def __str__(self) -> str:
        return (
            f"{utc_text(self.time)}@{self.position}"
            if self.clock is Clock.OCCURRED
            else f"@{self.position}"
        )


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
_SPACE_BEFORE_ZONE: Final = re.compile(r"\s+(?=[Zz+-])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
WANTED: Final = "vN, @POSITION, an ISO 8601 time, '2h ago', or 'yesterday 14:00'"


def parse_as_of(text: str, clock: Clock | str | None, now: datetime) -> AsOf:
    """Parses a moment.

    The forms are `v7`, `@4711`, `2026-11-22T10:00:00Z` (UTC if there is no zone), `2h ago`,
    `yesterday 14:00`, and `TIME@POSITION`: valid time, as far as was known at the position. Times
    are cut to microseconds.

    Args:
        text: The moment.
        clock: The clock of a time; None is valid time.
        now: The present time (UTC).

    Returns:
        The moment.

    Raises:
        InvalidFieldError: The text is not a moment.

    Examples:
        >>> from datetime import UTC, datetime
        >>> from jobledger.domain.values.moments import parse_as_of
        >>> parse_as_of("v7", None, datetime.now(UTC))
        AtVersion(version=7)
    """
    value, wanted = text_of("as_of", text).strip(), parse_clock(clock)
    if (place := parse_place(value)) is not None:
        return place
    time_said, at, known = value.partition("@")
    if at and not re.fullmatch(r"\d{1,18}", known):
        raise InvalidFieldError("as_of", f"{text!r} is not a moment; write {WANTED}")
    if at and wanted is Clock.RECORDED:
        raise InvalidFieldError(
            "as_of",
            f"{text!r} has a position and a time, which is valid time; it cannot be read on the clock recorded",
        )
    return AtTime(_time(time_said, now), wanted or Clock.OCCURRED, int(known) if at else None)


def parse_place(text: str) -> AtVersion | AtPosition | None:
    """Parses a version (`v7`) or a position (`@4711`); None for any other text."""
    value = text.strip()
    if re.fullmatch(r"v\d{1,9}", value):
        return AtVersion(int(value[1:]))
    if re.fullmatch(r"@\d{1,18}", value):
        return AtPosition(int(value[1:]))
    return None


def parse_clock(clock: Clock | str | None) -> Clock | None:
    """Parses the name of a clock.

    Args:
        clock: "recorded", "occurred", or None.

    Returns:
        The clock; None for None.

    Raises:
        InvalidFieldError: There is no such clock.
    """
    if clock is None or clock in list(Clock):
        return None if clock is None else Clock(clock)
    raise InvalidFieldError(
        "clock", f"{clock!r} is not a clock; the clocks are recorded and occurred"
    )


def _time(text: str, now: datetime) -> datetime:
    message = text.strip().lower()
    try:
        if message == "now":
            return now
        if ago := _AGO.fullmatch(message):
            return now - timedelta(**{_UNITS[ago["unit"][0]]: int(ago["count"])})
        if day := _DAY.fullmatch(message):
            at = time.fromisoformat(day["at"].rjust(5, "0")) if day["at"] else time()
            date = now.date() - timedelta(days=day["day"] == "yesterday")
            return datetime.combine(date, at, UTC)
        if _ISO.fullmatch(message):
            parsed = parse_iso(_SPACE_BEFORE_ZONE.sub("", message))
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidFieldError(
            "as_of", f"{text!r} is not a time: {error}; write {WANTED}"
        ) from None
    if re.fullmatch(r"\d{1,4}[/.]\d{1,2}[/.]\d{1,4}.*|\d{1,2}:\d\d.*", message):
        raise InvalidFieldError("as_of", f"{text!r} is ambiguous; write {WANTED}")
    raise InvalidFieldError("as_of", f"{text!r} is not a moment; write {WANTED}")
