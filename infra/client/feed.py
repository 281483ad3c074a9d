"""The feed as it comes: pages of events, and then server-sent events, line by line.

Each page and each stream begins with the event that was read last, to see whether the ledger lost it: after
a failover or a restored backup, another event may be at its position.
"""

import json
from collections.abc import Iterable
from typing import Final, NamedTuple

from jobledger.domain.errors import BeyondEndError
from jobledger.infra.client.parsing import event_of
from jobledger.infra.client.refusals import BAD_REQUEST, error_of
from jobledger.infra.eventstore.stored_event import RecordedEvent

LOST: Final = "lost"
"""The type of an event with the error that ends a stream: the ledger lost what the client read."""
PRUNED: Final = "pruned"
"""The type of an event with ranges of positions whose events were pruned."""


class EventsPage(NamedTuple):
    """A page of the feed."""

    events: list[RecordedEvent]
    last: int
    """The last position that was looked at."""
    pruned: list[tuple[int, int]]
    """Ranges of positions whose events were pruned."""


class CatchUp:
    """Reads the feed page by page, up to its end."""

    def __init__(self, after: int) -> None:
        self.after = after
        """The last position that was looked at."""
        self.read: RecordedEvent | None = None
        """The event there; None if it was not read."""
        self.is_at_end = False

    @property
    def start(self) -> int:
        """The position after which the next page, or the stream, begins."""
        return self.after if self.read is None else self.read.position - 1

    def new(self, page: EventsPage) -> list[RecordedEvent]:
        """Returns the events of a page that were not read yet; raises BeyondEndError."""
        last_read = LastRead(self.read)
        last_read.pass_over(page.pruned)
        new = [event for event in page.events if last_read.is_before(event)]
        last_read.check_end(page.last)
        self.is_at_end = page.last == self.after
        if not self.is_at_end:
            self.after, self.read = page.last, new[-1] if new else None
        return new


class LastRead:
    """The event that was read last, until it came again."""

    def __init__(self, event: RecordedEvent | None) -> None:
        self._event = event

    def pass_over(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Does not expect the event if it was pruned."""
        read = self._event
        if read is not None and any(first <= read.position <= last for first, last in ranges):
            self._event = None

    def is_before(self, event: RecordedEvent) -> bool:
        """Whether an event is a new one; raises BeyondEndError if the one that was read is not there."""
        read, self._event = self._event, None
        if read is None:
            return True
        if _identity(event) != _identity(read):
            raise BeyondEndError("after", read.position, max(event.position, read.position))
        return False

    def check_end(self, last: int) -> None:
        """Raises BeyondEndError if the event was not in a page up to a position."""
        if self._event is not None:
            raise BeyondEndError("after", self._event.position, last)


class Decoder:
    """Reads the lines of one stream (WHATWG server-sent events)."""

    def __init__(self, last_read: RecordedEvent | None = None) -> None:
        """If the client has read an event, the stream begins with it again, unless it was lost or pruned."""
        self._last_read = LastRead(last_read)
        self._fields: dict[str, str] = {}

    def read(self, line: str) -> RecordedEvent | None:
        """Reads one line; returns the event that it completes, if it is new; raises BeyondEndError."""
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        kind, data = fields.get("event"), fields.get("data", "")
        if kind == LOST:
            raise error_of(BAD_REQUEST, data.encode())
        if kind == PRUNED:
            self._last_read.pass_over(json.loads(data))
        elif "id" in fields and data:
            event = event_of(json.loads(data))
            return event if self._last_read.is_before(event) else None
        return None


def _identity(event: RecordedEvent) -> tuple[object, ...]:
    """Returns what differs between any two events. Their data may differ by personal values that were erased since."""
    return event.position, event.name, event.version, event.recorded_time
