"""Writing decided events of which some are stored already: those are left out, and the others follow them."""

from collections.abc import Callable
from typing import Any, Final

from jobledger.domain.errors import VersionConflictError
from jobledger.domain.events import Event
from jobledger.domain.job import Job
from jobledger.infra.eventstore.commit.appender import FIND_EVENTS, Appender
from jobledger.infra.eventstore.commit.bulk import BulkWrite
from jobledger.infra.eventstore.stored_event import Placed

IsRepeated = Callable[[bytes, bytes], bool]
"""Whether data to be written says what some stored data says."""
_PLACE: Final = slice(2, 4)
"""Where a found row has its name and version."""


class ResumedWrite(BulkWrite):
    """What a bulk write would write, but for events that are stored just so.

    Raises VersionConflictError, having written nothing, where another event is stored at a version.
    """

    def __init__(self, write: BulkWrite, is_repeated: IsRepeated) -> None:
        super().__init__(write.events, write.encrypt)
        self.prepare()
        self._is_repeated = is_repeated

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        """As BulkWrite does, once what is stored is left out."""
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
        """Whether a stored row holds just this event."""
        type_, data, *about = row[4:]
        mine = [event.occurred_time, event.actor, event.request_id, event.trace_parent]
        same = type_ == event.type and about == mine
        return same and self._is_repeated(event.data.encode(), data)
