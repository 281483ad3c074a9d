"""The clocks of a job's reporters, compared with the server's clock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from statistics import median
from typing import Final, NamedTuple

from jobledger.domain.values.canonical import JsonObject

TOLERANCE: Final = timedelta(seconds=1)
"""A clock may run so far ahead, or jump back so far, without being flagged."""
_ZERO: Final = timedelta()


class Reported(NamedTuple):
    """When an event occurred, by its reporter's clock, and when it was recorded (UTC)."""

    reporter: str
    occurred_time: datetime
    recorded_time: datetime


class ReporterClock(NamedTuple):
    """The offset of a reporter's clock, as its events show it."""

    reporter: str
    reports: int
    offset: timedelta
    """The median of the times recorded less the times occurred: a delay, and the clocks' difference."""
    ahead: timedelta
    """How long before it occurred an event was recorded, at most."""
    back: timedelta
    """How long before an event that was recorded earlier an event occurred, at most."""

    @property
    def flag(self) -> str:
        """`runs ahead`, `jumped back`, both, or ""."""
        flags = {"runs ahead": self.ahead, "jumped back": self.back}
        return ", ".join(flag for flag, by in flags.items() if by >= TOLERANCE)

    def json(self) -> JsonObject:
        """Returns the clock as JSON; durations are seconds."""
        return {
            "reporter": self.reporter,
            "reports": self.reports,
            "offsetSeconds": self.offset.total_seconds(),
            "aheadSeconds": self.ahead.total_seconds(),
            "backSeconds": self.back.total_seconds(),
            "flag": self.flag,
        }


def reporter_clocks(reported: Iterable[Reported]) -> list[ReporterClock]:
    """Returns the clock of each reporter, flagged ones first.

    `reported` is in the order of recording; events without a reporter do not count.
    """
    by: dict[str, list[Reported]] = {}
    for event in reported:
        if event.reporter:
            by.setdefault(event.reporter, []).append(event)
    clocks = [_clock(reporter, events) for reporter, events in by.items()]
    return sorted(clocks, key=lambda clock: (not clock.flag, clock.reporter))


def _clock(reporter: str, events: list[Reported]) -> ReporterClock:
    offsets = [event.recorded_time - event.occurred_time for event in events]
    latest, back = events[0].occurred_time, _ZERO
    for event in events:
        back = max(back, latest - event.occurred_time)
        latest = max(latest, event.occurred_time)
    middle = timedelta(seconds=median(offset.total_seconds() for offset in offsets))
    return ReporterClock(reporter, len(events), middle, max(_ZERO, -min(offsets)), back)
