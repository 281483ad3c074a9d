"""Places in the queue: `jobPosition` of ml v1 jobs.

A place that the scheduler reported (`Queued` with a queuePosition) is believed. Otherwise it
is reckoned: by priority (trainingInput.scheduling.priority, higher first), then the older job
first, among the waiting jobs of a project.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary, proxy

from jobledger.domain.job import Job
from jobledger.domain.moments import Clock
from jobledger.domain.names import project_of
from jobledger.domain.states import JobState, state_after
from jobledger.infra.ledger import Ledger
from jobledger.infra.past.moments import Given
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.rows import RecordedEvent

READ_QUEUE: Final = sql.load("jobledger.infra.google", "read_queue")
COLLECTION: Final = "jobs"
LAST: Final = datetime.max.replace(tzinfo=UTC)
"""When a job was created of which only later reports came: nobody knows."""


class Turn(NamedTuple):
    """When it is a job's turn: the smaller, the earlier."""

    priority: int
    create_time: datetime
    name: str


def positions(
    ledger: Ledger, project: str, jobs: Sequence[Job], as_of: Given | None, clock: Clock | None
) -> dict[str, int]:
    """The places from 1, or as reported, of those jobs that wait."""
    waiting = [job for job in jobs if job.state is JobState.QUEUED]
    if not waiting:
        return {}
    if as_of is None and clock is None:
        return _queue_of(ledger).places(waiting)
    project_id = project.removeprefix("projects/")
    queued = f'state = QUEUED AND kind = {COLLECTION} AND project = "{project_id}"'
    line = sorted(
        _turn(job.name, job.create_time, job.spec)
        for job in ledger.scan(queued, as_of=as_of, clock=clock)
    )
    reckoned = {turn.name: place for place, turn in enumerate(line, start=1)}
    reported = {job.name: _reported(ledger.history(job.name), job.version) for job in waiting}
    return {
        job.name: place
        for job in waiting
        if (place := reported[job.name]) is not None
        or (place := reckoned.get(job.name)) is not None
    }


class Queue:
    """All projects' waiting jobs as of an event; catches up from the events since, whenever it is asked."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger: Ledger = proxy(ledger)  # It must not keep its own key alive.
        self._lock = Lock()
        self._position = -1
        self._turns: dict[str, Turn] = {}
        self._lines: defaultdict[str, list[Turn]] = defaultdict(list)
        self._reported: dict[str, int] = {}

    def places(self, jobs: Iterable[Job]) -> dict[str, int]:
        """Where these wait, as far as they still do."""
        with self._lock:
            self._catch_up()
            found = {job.name: self._place(job.name) for job in jobs}
        return {name: place for name, place in found.items() if place is not None}

    def _place(self, name: str) -> int | None:
        turn = self._turns.get(name)
        if turn is None:
            return None
        return self._reported.get(name, bisect_left(self._lines[project_of(name)], turn) + 1)

    def _catch_up(self) -> None:
        if self._position < 0:
            self._position = self._ledger.size()
            self._look_up(None)
        unknown: set[str] = set()
        for event in self._ledger.events(self._position, follow=False):
            self._position = event.position
            if event.schema and event.name.split("/")[-2] == COLLECTION:
                self._take(event, unknown)
        if unknown:
            self._look_up(sorted(unknown))

    def _take(self, event: RecordedEvent, unknown: set[str]) -> None:
        state = state_after(event.type)
        if state is None:
            if event.type == "ConfigChanged":
                unknown.add(event.name)
            return
        self._remove(event.name)
        unknown.discard(event.name)
        if event.type == "Created":
            self._add(_turn(event.name, event.occurred_time, event.json.get("spec")), None)
        elif state is JobState.QUEUED:
            unknown.add(event.name)

    def _look_up(self, names: list[str] | None) -> None:
        """Reads those jobs that wait among `names`, or all."""
        with translated(), self._ledger.pool.connection() as connection:
            rows = connection.execute(
                READ_QUEUE, {"names": names, "collection": COLLECTION}
            ).fetchall()
        for name, create_time, spec, place in rows:
            self._remove(name)
            self._add(_turn(name, create_time, spec), place)

    def _add(self, turn: Turn, reported: int | None) -> None:
        self._turns[turn.name] = turn
        insort(self._lines[project_of(turn.name)], turn)
        if reported is not None:
            self._reported[turn.name] = reported

    def _remove(self, name: str) -> None:
        self._reported.pop(name, None)
        turn = self._turns.pop(name, None)
        if turn is not None:
            line = self._lines[project_of(name)]
            del line[bisect_left(line, turn)]


_queues: WeakKeyDictionary[Ledger, Queue] = WeakKeyDictionary()


def _queue_of(ledger: Ledger) -> Queue:
    return _queues.setdefault(ledger, Queue(ledger))


def _turn(name: str, create_time: datetime | None, spec: Any) -> Turn:
    priority: Any = spec
    for key in ("trainingInput", "scheduling", "priority"):
        priority = priority.get(key) if isinstance(priority, Mapping) else None
    rank = -priority if isinstance(priority, int) else 0
    return Turn(rank, create_time or LAST, name)


def _reported(history: Iterable[RecordedEvent], version: int) -> int | None:
    """The place that the report said which put the job where it waits."""
    entered = [e for e in history if e.version <= version and state_after(e.type) is not None]
    if not entered or entered[-1].type != "Queued":
        return None
    place = entered[-1].json.get("queuePosition")
    return place if isinstance(place, int) else None
