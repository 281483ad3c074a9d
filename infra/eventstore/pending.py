"""What callers want written, while it waits its turn: a decision on one job, or events already decided."""

from __future__ import annotations

import operator
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from threading import Lock, Thread
from typing import NamedTuple, Protocol

from jobledger.domain.data import Data
from jobledger.domain.errors import LedgerError, RequestReusedError
from jobledger.domain.events import Event
from jobledger.domain.job import Job, evolve, replay
from jobledger.domain.states import state_after
from jobledger.infra.eventstore.appender import Appender
from jobledger.infra.eventstore.stored_event import Placed, RecordedEvent, Row, row_of
from jobledger.infra.privacy.envelope import MARKER, UnsealedError
from jobledger.projections.jobs import Change, change


class Provenance(NamedTuple):
    """Where an event comes from: UTC time it occurred, who says so, for which request, in which trace."""

    occurred_time: datetime
    actor: str | None = None
    request_id: str | None = None
    trace_parent: str | None = None


class AlreadyWrittenError(LedgerError):
    """The write's request id was used before, for the job `name`."""

    def __init__(self, request_id: str, name: str) -> None:
        self.request_id = request_id
        self.name = name
        super().__init__(f"request {request_id!r} was already answered, for {name}")


class Waiting(Protocol):
    """What a caller waits on until its write is answered: a lock, taken from the start."""

    def acquire(self) -> object: ...
    def release(self) -> None: ...


class Write(ABC):
    """One caller's append. Its thread makes it and waits; the committer's answers it, once."""

    names: Sequence[str] = ()
    """The jobs whose state it needs."""
    touches: Sequence[str] = ()
    """Jobs it changes without saying how they will be."""
    request_id: str | None = None
    rows: Sequence[Row] = ()
    """What it would write, once folded; empty if nothing."""
    prepared: Mapping[str, Change] = {}
    """What it makes of its jobs, as far as its caller worked that out."""
    guesses: Mapping[str, Job] = {}
    """Jobs the caller takes for new, so that nobody need look; the versions tell if they are not."""
    alone: bool = False
    """Whether it needs a transaction of its own, on jobs as they are then."""
    in_thread: bool = True
    """Whether its caller waits in a thread."""
    placed: Placed | None = None
    """Where it was written, once it was; None if there was nothing to write."""
    _error: BaseException | None = None
    _next: Write | None = None

    def __init__(self) -> None:
        self.since = time.monotonic()
        """When its caller began to wait."""
        self._waiting: Waiting = Lock()
        self._waiting.acquire()

    def wait_on(self, waiting: Waiting) -> None:
        """Its caller does not wait in a thread of its own."""
        self._waiting = waiting
        self.in_thread = False

    @abstractmethod
    def fold(self, jobs: dict[str, Job]) -> None:
        """Decides on `jobs`: fills `rows`, and puts the jobs as they will be into `jobs`.

        Raises LedgerError, having changed nothing.
        """

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        """Writes it on `jobs` as they are, in a transaction that keeps other writers out.

        Leaves the jobs as they will be in `jobs`; None if there was nothing to write.
        """
        before = dict(jobs)
        self.fold(jobs)
        if not self.rows:
            return None
        appender.check_versions(first_versions(self.rows))
        requests = [self.request_id] if self.request_id else []
        return appender.append(self.rows, requests, changes(before, jobs, self.prepared))

    def answer(self, placed: Placed | None) -> None:
        """Lets the caller go on: it was written there, or there was nothing to write."""
        self.placed = placed
        self._waiting.release()

    def fail(self, error: BaseException) -> None:
        """Lets the caller go on with an error: nothing of this was written."""
        self._error = error
        self._waiting.release()

    def wait(self) -> None:
        """Blocks the caller until its write is answered; raises what it failed with."""
        try:
            self._waiting.acquire()
        except BaseException:
            # Interrupted, but others wait behind it: somebody has to take its turn.
            Thread(target=self._take_turn, daemon=True).start()
            raise
        self._wake_next()
        if self._error is not None:
            raise self._error

    def _take_turn(self) -> None:
        self._waiting.acquire()
        self._wake_next()

    def _wake_next(self) -> None:
        if self._next is not None:
            self._next._waiting.release()  # noqa: SLF001 - its own class's


def answer_all(writes: Sequence[Write], placed: Placed) -> None:
    """Lets the callers go on, written one behind the other from that place.

    In threads each wakes the next. Woken all at once, they would fight over the interpreter's
    lock, and the committer with them: a third of the speed at 64 callers.
    """
    position = placed.first_position
    following: Write | None = None
    for write in writes:
        write.placed = Placed(position, placed.recorded_time)
        position += len(write.rows)
    for write in reversed(writes):
        if write.in_thread:
            write._next, following = following, write  # noqa: SLF001 - friends
        else:
            write._waiting.release()  # noqa: SLF001 - friends
    if following is not None:
        following._waiting.release()  # noqa: SLF001 - friends


class JobWrite(Write):
    """What an intent decides on one job."""

    def __init__(
        self,
        name: str,
        intent: Callable[[Job], Sequence[Data]],
        provenance: Provenance,
        *,
        sealed: bool = False,
    ) -> None:
        """`sealed`: the personal parts of what is intended are, if it has any."""
        super().__init__()
        self.name = name
        self.names = (name,)
        self.request_id = provenance.request_id
        self.events: list[Event] = []
        self.before: Job | None = None
        self.after: Job
        self._intent = intent
        self._provenance = provenance
        self._sealed = sealed
        self._encoded: list[bytes] = []
        self._repeated: list[RecordedEvent] = []

    def prepare(self, job: Job) -> None:
        """Decides on `job`; done ahead in the caller's thread, on the state it believes in.

        Raises UnsealedError if it has personal parts that nobody has sealed.
        """
        self.before, self.rows = None, ()
        facts = self._intent(job)
        self.events, self._encoded = [], [self._encode(fact) for fact in facts]
        self.after = job
        rows = []
        for fact, encoded in zip(facts, self._encoded, strict=True):
            event = Event(self.name, self.after.version + 1, fact, *self._provenance)
            self.events.append(event)
            rows.append(row_of(event, encoded))
            self.after = evolve(self.after, event)
        self.before, self.rows = job, rows
        self.prepared = {self.name: change(job, self.after)} if rows else {}

    def fold(self, jobs: dict[str, Job]) -> None:
        """Decides anew unless the job is what the caller believed it was."""
        job = jobs[self.name]
        if self.before is not job:
            self.prepare(job)
        jobs[self.name] = self.after

    def repeat(
        self,
        history: Sequence[RecordedEvent],
        is_repeated: Callable[[bytes, bytes], bool] = operator.eq,
    ) -> None:
        """Answers with what the same request wrote before.

        Raises RequestReusedError unless this intent, on the job as it was then, decides the same;
        `is_repeated` tells of its data and what is stored, and UnsealedError is as in `prepare`.
        """
        stored = [event for event in history if event.request_id == self.request_id]
        first, last = stored[0].version, stored[-1].version
        then = replay(Job(name=self.name), (e.event for e in history if e.version < first))
        try:
            facts = self._intent(then)
        except LedgerError:
            facts = ()
        said = [(type(fact).__name__, self._encode(fact)) for fact in facts]
        if [type_ for type_, _ in said] != [event.type for event in stored] or not all(
            is_repeated(encoded, event.stored)
            for (_, encoded), event in zip(said, stored, strict=True)
        ):
            raise RequestReusedError(self.request_id or "", self.name)
        self.after = replay(then, (e.event for e in history if first <= e.version <= last))
        self._repeated = stored

    def _encode(self, fact: Data) -> bytes:
        encoded = fact.encode()
        if MARKER in encoded and not self._sealed:
            raise UnsealedError
        return encoded

    def recorded(self) -> list[RecordedEvent]:
        """What was written, once it was."""
        if self.placed is None:
            return self._repeated
        assert self.before is not None
        state, recorded = self.before.state, []
        for offset, (event, encoded) in enumerate(zip(self.events, self._encoded, strict=True)):
            state = state_after(event.type) or state
            recorded.append(
                RecordedEvent(
                    position=self.placed.first_position + offset,
                    name=event.name,
                    version=event.version,
                    type=event.type,
                    schema=event.data.schema_number,
                    occurred_time=event.occurred_time,
                    recorded_time=self.placed.recorded_time,
                    actor=event.actor,
                    request_id=event.request_id,
                    trace_parent=event.trace_parent,
                    stored=encoded,
                    state=state,
                )
            )
        return recorded


class JobsWrite(Write):
    """What an intent decides on each of several jobs: all of it is written, or nothing."""

    def __init__(
        self,
        names: Sequence[str],
        intent: Callable[[Job], Sequence[Data]],
        provenance: Provenance,
        *,
        sealed: bool = False,
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self._writes = [JobWrite(name, intent, provenance, sealed=sealed) for name in names]

    @property
    def after(self) -> list[Job]:
        """The jobs as they are then."""
        return [write.after for write in self._writes]

    def fold(self, jobs: dict[str, Job]) -> None:
        """Raises what the intent raises of any of them, before anything is changed."""
        for write in self._writes:
            write.prepare(jobs[write.name])
        self.rows = [row for write in self._writes for row in write.rows]
        self.prepared = {n: made for w in self._writes for n, made in w.prepared.items()}
        jobs.update({write.name: write.after for write in self._writes})


class DecidedWrite(Write):
    """Events decided elsewhere, of any number of jobs, written all or not at all.

    `rows` may hold events of other aggregates too; only `events` are folded into jobs.
    """

    def __init__(self, rows: Sequence[Row], events: Sequence[Event]) -> None:
        super().__init__()
        self.rows = rows
        self.names = tuple({event.name: None for event in events})
        self.guesses = {event.name: Job(name=event.name) for event in events if event.version == 1}
        self._events = events

    def fold(self, jobs: dict[str, Job]) -> None:
        """History is believed: the events are folded, not judged."""
        after: dict[str, Job] = {}
        for name, events in groupby(self._events, key=attrgetter("name")):
            after[name] = replay(after[name] if name in after else jobs[name], events)
        jobs.update(after)


def first_versions(rows: Sequence[Row]) -> dict[str, int]:
    """The version each name begins with."""
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(row.name, row.version)
    return first


def changes(
    before: Mapping[str, Job], after: Mapping[str, Job], prepared: Mapping[str, Change]
) -> list[Change]:
    """What became of the jobs that are not as they were; those that a caller prepared are not made anew."""
    made = []
    for name, job in after.items():
        was = before[name]
        if job is not was:
            ready = prepared.get(name)
            fits = ready is not None and ready.before is was and ready.after is job
            made.append(ready if ready is not None and fits else change(was, job))
    return made
