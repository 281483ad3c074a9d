"""Writes decided events of which some are stored already: the stored ones are left out."""

from collections.abc import Callable
from typing import Any, Final

from jobledger.domain.errors import VersionConflictError
from jobledger.domain.events import Event
from jobledger.domain.job import Job
from jobledger.infra.eventstore.commit.appender import FIND_EVENTS, Appender
from jobledger.infra.eventstore.stored_event import Placed
from jobledger.infra.eventstore.writes.bulk import BulkWrite

IsRepeated = Callable[[bytes, bytes], bool]
"""A function that compares data to be written with stored data."""
_PLACE: Final = slice(2, 4)
"""The indexes of the name and the version in a found row."""


class ResumedWrite(BulkWrite):
    """A bulk write without the events that are stored already.

    Raises VersionConflictError, and writes nothing, if another event is stored at one of the versions.
    """

    def __init__(self, write: BulkWrite, is_repeated: IsRepeated) -> None:
        super().__init__(write.events, write.encrypt)
        self.prepare()
        self._is_repeated = is_repeated

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        """Leaves out the stored events, and writes as BulkWrite does."""
        self._leave_out_stored(appender)
        return super().write(appender, jobs) if self.events else None

    def _leave_out_stored(self, appender: Appender) -> None:
        places = [event.name for event in self.events], [event.version for event in self.events]
        rows = appender.connection.execute(FIND_EVENTS, places).fetchall()
        stored: dict[tuple[str, int], tuple[Any, ...]] = {row[_PLACE]: row for row in rows}
        for event in self.events:
            row = stored.get((event.name, event.version))
            if row is not None and not self._is_stored(event, row):
                last = max(version for name, version in stored if name == event.name)
                raise VersionConflictError(event.name, event.version - 1, last)
        self.keep([event for event in self.events if (event.name, event.version) not in stored])

    def _is_stored(self, event: Event, row: tuple[Any, ...]) -> bool:
        """Whether a stored row is this event."""
        type_, data, *about = row[4:]
        mine = [event.occurred_time, event.actor, event.request_id, event.trace_parent]
        same = type_ == event.type and about == mine
        return same and self._is_repeated(event.data.encode(), data)
