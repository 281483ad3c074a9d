"""When a job's events take effect (valid time), and in which order.

Reporters' clocks differ, so an event may have occurred before the one that was recorded before it.
Each event was judged after the ones with lower versions, and that order is kept: an event takes
effect no earlier than those before it. Nor does it take effect after it was recorded: a time later
than that is of a clock that runs ahead. So its effective time is the running maximum, along the
versions, of the occurred times, each at most the recorded time. A contradicted report changes
nothing, so it takes part in no maximum but its own. From the time on at which the last event was
recorded, a job is the same in valid time and in transaction time.

A late report that fits where it happened is stored with a `Placement` (see placing.py). It takes
effect when it occurred, behind the version that the placement names.

As of a position the effective times are what they are later: they depend on lower versions only.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

CONTRADICTED = "Contradicted"


class Occurrence(Protocol):
    """What is known of an event, to find out when it takes effect."""

    @property
    def version(self) -> int:
        """Its place in the job, from 1."""

    @property
    def type(self) -> str:
        """Its stored name."""

    @property
    def bounded_time(self) -> datetime:
        """When it happened, as its reporter says, or when it was recorded, if that was earlier."""

    @property
    def placed_after(self) -> int | None:
        """The version that it follows in valid time; None if that is the one before it."""


E = TypeVar("E", bound=Occurrence)


class Effect(NamedTuple, Generic[E]):
    """An event and its effective time."""

    time: datetime
    event: E


def effects(events: Iterable[E]) -> list[Effect[E]]:
    """The events of one job in the order in which they take effect.

    `events` are all that count, from version 1, in any order.
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
    """The same without their times."""
    return [effect.event for effect in effects(events)]
