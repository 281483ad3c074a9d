"""When the events of a job take effect (valid time), and in which order.

Reporters' clocks differ, so an event may have an earlier occurred time than the event recorded
before it. Each event was decided after the events with lower versions, and that order is kept: an
event takes effect no earlier than the events before it. Nor does it take effect after it was
recorded: a later time is of a clock that is ahead. So an event's effective time is the running
maximum, by version, of the occurred times, each limited to the recorded time. A contradicted report
changes nothing, so it does not count for later events. From the time at which the last event was
recorded, a job is the same in valid time and in transaction time.

A late report that fits where it happened is stored with a `Placement` (see placing.py). It takes
effect when it occurred, after the version that the placement names.

The effective times as of a position never change: they depend on lower versions only.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

CONTRADICTED = "Contradicted"


class Occurrence(Protocol):
    """The fields of an event that decide when it takes effect."""

    @property
    def version(self) -> int:
        """The event's place in its job, from 1."""

    @property
    def type(self) -> str:
        """The event type as it is stored."""

    @property
    def bounded_time(self) -> datetime:
        """The earlier one of when it occurred and when it was recorded (UTC)."""

    @property
    def placed_after(self) -> int | None:
        """The version that it follows in valid time, if it has a placement; else None."""


E = TypeVar("E", bound=Occurrence)


class Effect(NamedTuple, Generic[E]):
    """An event and its effective time."""

    time: datetime
    event: E


def effects(events: Iterable[E]) -> list[Effect[E]]:
    """Orders the events of one job by when they take effect.

    Args:
        events: All events from version 1, in any order.

    Returns:
        The events with their effective times (UTC).
    """
    timed: list[tuple[datetime, int, int, E]] = []
    latest: datetime | None = None
    for event in sorted(events, key=lambda event: event.version):
        time, version, after = event.bounded_time, event.version, event.placed_after
        if after is None and latest is not None and time < latest:
            time = latest
        if latest is None or (event.type != CONTRADICTED and time > latest):
            latest = time
        timed.append((time, version if after is None else min(after, version), version, event))
    timed.sort(key=lambda entry: entry[:3])
    return [Effect(time, event) for time, _, _, event in timed]


def in_effect(events: Iterable[E]) -> list[E]:
    """Orders events as `effects` does, and returns them without times."""
    return [effect.event for effect in effects(events)]
