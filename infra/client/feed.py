"""Server-sent events as they come, line by line: which event each block of lines is."""

import json
from typing import Final

from jobledger.domain.errors import BeyondEndError
from jobledger.infra.client.parsing import event_of
from jobledger.infra.client.refusals import BAD_REQUEST, error_of
from jobledger.infra.eventstore.stored_event import RecordedEvent

LOST: Final = "lost"
"""The type of an event with the error that ends a stream: the ledger lost what the client read."""
PRUNED: Final = "pruned"
"""The type of an event with ranges of positions whose events were pruned."""


class Decoder:
    """Reads the lines of one stream (WHATWG server-sent events)."""

    def __init__(self, last_read: RecordedEvent | None = None) -> None:
        """If the client has read an event, the stream begins with it again, unless it was lost or pruned."""
        self._last_read = last_read
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
            self._pass_over(json.loads(data))
        elif "id" in fields and data:
            return self._if_new(event_of(json.loads(data)))
        return None

    def _pass_over(self, ranges: list[tuple[int, int]]) -> None:
        read = self._last_read
        if read is not None and any(first <= read.position <= last for first, last in ranges):
            self._last_read = None

    def _if_new(self, event: RecordedEvent) -> RecordedEvent | None:
        read, self._last_read = self._last_read, None
        if read is None:
            return event
        if _identity(event) != _identity(read):
            raise BeyondEndError("after", read.position, max(event.position, read.position))
        return None


def _identity(event: RecordedEvent) -> tuple[object, ...]:
    """Returns what differs between any two events. Their data may differ by personal values that were erased since."""
    return event.position, event.name, event.version, event.recorded_time
