"""Server-sent events as they come, line by line: which event each block of lines is."""

import json
from typing import Final

from jobledger.infra.client.parsing import event_of
from jobledger.infra.client.refusals import BAD_REQUEST, error_of
from jobledger.infra.eventstore.stored_event import RecordedEvent

LOST: Final = "lost"
"""The type of an event with the error that ends a stream: the ledger lost what the client read."""


class Decoder:
    """Reads the lines of one stream (WHATWG server-sent events)."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def read(self, line: str) -> RecordedEvent | None:
        """Reads one line; returns the event that it completes, if there is one; raises BeyondEndError."""
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if fields.get("event") == LOST:
            raise error_of(BAD_REQUEST, fields["data"].encode())
        # A range of pruned events has no id.
        return event_of(json.loads(fields["data"])) if "id" in fields and "data" in fields else None
