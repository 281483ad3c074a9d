"""Effective times, computed independently of the code: naively, from all pairs of events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from jobledger.infra.eventstore.stored_event import RecordedEvent


def effective_time(event: RecordedEvent, others: Iterable[RecordedEvent]) -> datetime:
    """When one of a job's events took effect: no earlier than any before it that was no contradiction.

    And no later than it was recorded.
    """
    if event.placed_after is not None:
        return event.occurred_time
    before = [
        min(other.occurred_time, other.recorded_time)
        for other in others
        if other.version < event.version and (other.type != "Contradicted" or other.version == 1)
    ]
    return max([min(event.occurred_time, event.recorded_time), *before])


def taken(events: Iterable[RecordedEvent]) -> list[tuple[datetime, RecordedEvent]]:
    """All jobs' events with those times, each job's in the order in which they took effect."""
    jobs: dict[str, list[RecordedEvent]] = {}
    for event in events:
        jobs.setdefault(event.name, []).append(event)
    return [
        (time, event)
        for history in jobs.values()
        for time, event in sorted(
            ((effective_time(event, history), event) for event in history),
            key=lambda pair: (pair[0], *_place(pair[1])),
        )
    ]


def _place(event: RecordedEvent) -> tuple[int, int]:
    after = event.version if event.placed_after is None else event.placed_after
    return min(after, event.version), event.version
