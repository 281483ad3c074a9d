"""Queue positions: `jobPosition` of ml v1 jobs.

If the scheduler reported a position (`Queued` with a queuePosition), it is used. Otherwise the position
is computed by priority (trainingInput.scheduling.priority, higher first), then by age, oldest
first, among the waiting jobs of a project.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import starmap
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import BeyondEndError
from jobledger.domain.job import Job
from jobledger.domain.states import JobState, state_after
from jobledger.domain.values.moments import Clock
from jobledger.domain.values.names import project_of
from jobledger.infra.async_ledger import AsyncLedger
from jobledger.infra.eventstore.feed import Cursor
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.read.moments import Given
from jobledger.infra.read.reader import Reader
from jobledger.infra.read.shared_reads import SharedReads

READ_QUEUE: Final = sql.load(__package__, "read_queue")
COLLECTION: Final = "jobs"
PAGE: Final = 1_000
Names = tuple[str, ...]
LAST: Final = datetime.max.replace(tzinfo=UTC)
"""The create time of a job that was reported without Created: unknown."""


class Rank(NamedTuple):
    """A job's rank in the queue: smaller is earlier."""

    priority: int
    create_time: datetime
    name: str


def past_places(
    reader: Reader, project: str, waiting: Sequence[Job], as_of: Given | None, clock: Clock | None
) -> dict[str, int]:
    """Returns the queue positions of these jobs as of a moment, from 1 or as reported."""
    project_id = project.removeprefix("projects/")
    queued = f'state = QUEUED AND kind = {COLLECTION} AND project = "{project_id}"'
    line = sorted(
        _rank(job.name, job.create_time, job.spec)
        for job in reader.scan(queued, as_of=as_of, clock=clock)
    )
    reckoned = {rank.name: place for place, rank in enumerate(line, start=1)}
    reported = {job.name: _reported(reader.history(job.name), job.version) for job in waiting}
    return {
        job.name: place
        for job in waiting
        if (place := reported[job.name]) is not None
        or (place := reckoned.get(job.name)) is not None
    }


class Queue:
    """All projects' waiting jobs as of an event. Each call catches up with the events since then.

    Only one thread at a time may use it.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._cursor: Cursor | None = None
        """Up to where events were taken; None if it has to begin."""
        self._ranks: dict[str, Rank] = {}
        self._lines: defaultdict[str, list[Rank]] = defaultdict(list)
        self._reported: dict[str, int] = {}

    def places(self, names: Iterable[str]) -> dict[str, int]:
        """Returns the queue positions of those of these jobs that still wait."""
        try:
            self._catch_up()
        except BeyondEndError:  # The ledger was restored to an earlier state.
            self._catch_up()
        found = {name: self._place(name) for name in names}
        return {name: place for name, place in found.items() if place is not None}

    def _catch_up(self) -> None:
        """Takes the events since the last call; begins with the waiting jobs at first, and after an error."""
        cursor, self._cursor = self._cursor or self._begin(), None
        while self._takes_page(cursor):
            pass
        self._cursor = cursor

    def _begin(self) -> Cursor:
        self._ranks, self._lines, self._reported = {}, defaultdict(list), {}
        cursor = Cursor(self._reader.feed, self._reader.size())
        self._take((), self._look_up(None))
        return cursor

    def _place(self, name: str) -> int | None:
        rank = self._ranks.get(name)
        if rank is None:
            return None
        return self._reported.get(name, bisect_left(self._lines[project_of(name)], rank) + 1)

    def _takes_page(self, cursor: Cursor) -> bool:
        """Takes the next events; returns whether there may be more."""
        page = list(starmap(RecordedEvent, cursor.rows(PAGE)))
        last = {event.name: event for event in page if _is_relevant(event)}
        # The fields of a created job are in the event; for other jobs, the row has the spec and the position.
        may_wait = (None, JobState.QUEUED)
        unknown = sorted(
            name for name, event in last.items()
            if event.type != "Created" and state_after(event.type) in may_wait
        )  # fmt: skip
        waiting = self._look_up(unknown) if unknown else []
        waiting += [
            (e.name, e.bounded_time, e.json.get("spec"), None)
            for e in last.values()
            if e.type == "Created"
        ]
        self._take(last, waiting)
        return len(page) == PAGE

    def _look_up(self, names: list[str] | None) -> list[tuple[Any, ...]]:
        """Returns the waiting jobs among `names`, or all: name, create time, spec, reported position."""
        parameters = {"names": names, "collection": COLLECTION, "state": JobState.QUEUED.name}
        with translated(), self._reader.pool.connection() as connection:
            return connection.execute(READ_QUEUE, parameters).fetchall()

    def _take(self, touched: Iterable[str], waiting: Iterable[tuple[Any, ...]]) -> None:
        """Updates the changed jobs."""
        for name in touched:
            self._remove(name)
        for name, create_time, spec, place in waiting:
            self._remove(name)
            self._add(_rank(name, create_time, spec), place)

    def _add(self, rank: Rank, reported: int | None) -> None:
        self._ranks[rank.name] = rank
        insort(self._lines[project_of(rank.name)], rank)
        if reported is not None:
            self._reported[rank.name] = reported

    def _remove(self, name: str) -> None:
        self._reported.pop(name, None)
        rank = self._ranks.pop(name, None)
        if rank is not None:
            line = self._lines[project_of(name)]
            del line[bisect_left(line, rank)]


class SharedQueue:
    """The queue positions for the tasks of one asyncio loop; simultaneous calls share a read."""

    def __init__(self, ledger: AsyncLedger) -> None:
        self._run = ledger.run
        self._queue = Queue(ledger.ledger.reader)
        self._reads = SharedReads(self._read)

    async def places(self, jobs: Iterable[Job]) -> dict[str, int]:
        """Does the same as Queue.places."""
        names = tuple(job.name for job in jobs)
        return await self._reads.get(names) or {}

    async def _read(self, wanted: Sequence[Names]) -> dict[Names, dict[str, int]]:
        return await self._run(lambda: {names: self._queue.places(names) for names in wanted})


def _is_relevant(event: RecordedEvent) -> bool:
    """Whether an event may change which jobs wait, or their order."""
    of_ours = event.schema > 0 and event.name.split("/")[-2] == COLLECTION
    return of_ours and (state_after(event.type) is not None or event.type == "ConfigChanged")


def _rank(name: str, create_time: datetime | None, spec: Any) -> Rank:
    priority: Any = spec
    for key in ("trainingInput", "scheduling", "priority"):
        priority = priority.get(key) if isinstance(priority, Mapping) else None
    place = -priority if isinstance(priority, int) else 0
    return Rank(place, create_time or LAST, name)


def _reported(history: Iterable[RecordedEvent], version: int) -> int | None:
    """Returns the position in the report that put the job into the queue."""
    entered = [e for e in history if e.version <= version and state_after(e.type) is not None]
    if not entered or entered[-1].type != "Queued":
        return None
    place = entered[-1].json.get("queuePosition")
    return place if isinstance(place, int) else None
