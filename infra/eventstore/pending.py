"""Appends that wait for a commit: a decision on one job or several, or events decided elsewhere.

A pending write is settled once: it was written (`placed`), there was nothing to write, its request
id was used before (`used_for`), or it failed (`error`). Whoever waits for it looks at these fields.
"""

import operator
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from jobledger.domain.data import Data
from jobledger.domain.errors import LedgerError, RequestReusedError
from jobledger.domain.events import Event
from jobledger.domain.job import Job, evolve, replay
from jobledger.domain.states import state_after
from jobledger.infra.eventstore.appender import Appender
from jobledger.infra.eventstore.stored_event import Placed, RecordedEvent, Row, row_of
from jobledger.infra.privacy.envelope import MARKER, NotEncryptedError
from jobledger.projections.jobs import Change, change

Intent = Callable[[Job], Sequence[Data]]
"""Decides which events happen to a job; raises LedgerError where none may."""


class Provenance(NamedTuple):
    """Where an event comes from: UTC time it occurred, its actor, its request, its trace."""

    occurred_time: datetime
    actor: str | None = None
    request_id: str | None = None
    trace_parent: str | None = None


class Pending(ABC):
    """One caller's append."""

    names: Sequence[str] = ()
    """The jobs whose state it needs."""
    touches: Sequence[str] = ()
    """Jobs that it changes in the database only."""
    request_id: str | None = None
    rows: Sequence[Row] = ()
    """What it would write, once it is decided; empty if nothing."""
    prepared: Mapping[str, Change] = {}
    """Changes of its jobs, as far as its caller worked them out."""
    assumed_new: Mapping[str, Job] = {}
    """Jobs its caller takes for new, so that nobody reads them; their versions tell if they are not."""
    alone: bool = False
    """Whether it needs a transaction of its own, on jobs as they are then."""
    placed: Placed | None = None
    error: BaseException | None = None
    used_for: str | None = None
    """The job that its request id was used for before."""

    def __init__(self) -> None:
        self.since = time.monotonic()
        """When its caller began to wait."""

    @abstractmethod
    def decide(self, jobs: dict[str, Job]) -> None:
        """Decides on `jobs`: fills `rows`, and puts the jobs as they will be into `jobs`.

        Raises LedgerError, having changed nothing.
        """

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        """Writes it on `jobs` as they are, in a transaction that keeps other writers out.

        Leaves the jobs as they will be in `jobs`; None if there was nothing to write.
        """
        before = dict(jobs)
        self.decide(jobs)
        if not self.rows:
            return None
        appender.check_versions(first_versions(self.rows))
        requests = [self.request_id] if self.request_id else []
        return appender.append(self.rows, requests, changes(before, jobs, self.prepared))


class JobWrite(Pending):
    """What an intent decides on one job."""

    def __init__(
        self, name: str, intent: Intent, provenance: Provenance, *, encrypted: bool = False
    ) -> None:
        """`encrypted`: whether personal values in what is intended are encrypted, if there are any."""
        super().__init__()
        self.name = name
        self.names = (name,)
        self.request_id = provenance.request_id
        self.events: list[Event] = []
        self.before: Job | None = None
        self.after: Job
        self._intent = intent
        self._provenance = provenance
        self._encrypted = encrypted
        self._encoded: list[bytes] = []
        self._repeated: list[RecordedEvent] = []

    @property
    def is_plain(self) -> bool:
        """Whether it would store personal values that are not encrypted."""
        return not self._encrypted and any(MARKER in encoded for encoded in self._encoded)

    def prepare(self, job: Job) -> None:
        """Decides on `job`, and encodes the events; raises LedgerError where none may happen."""
        self.before, self.rows = None, ()
        facts = self._intent(job)
        self.events, self._encoded = [], [fact.encode() for fact in facts]
        self.after = job
        rows = []
        for fact, encoded in zip(facts, self._encoded, strict=True):
            event = Event(self.name, self.after.version + 1, fact, *self._provenance)
            self.events.append(event)
            rows.append(row_of(event, encoded))
            self.after = evolve(self.after, event)
        self.before, self.rows = job, rows
        self.prepared = {self.name: change(job, self.after)} if rows else {}

    def decide(self, jobs: dict[str, Job]) -> None:
        """Decides anew unless the job is the one it was prepared on."""
        job = jobs[self.name]
        if self.before is not job:
            self.prepare(job)
        if self.is_plain:
            raise NotEncryptedError
        jobs[self.name] = self.after

    def repeat(
        self,
        history: Sequence[RecordedEvent],
        is_repeated: Callable[[bytes, bytes], bool] = operator.eq,
    ) -> None:
        """Answers with what the same request wrote before.

        `is_repeated` compares the data of this write with what is stored. Raises
        RequestReusedError unless this intent, on the job as it was then, decides the same.
        """
        stored = [event for event in history if event.request_id == self.request_id]
        first, last = stored[0].version, stored[-1].version
        then = replay(Job(name=self.name), (e.event for e in history if e.version < first))
        try:
            facts = self._intent(then)
        except LedgerError:
            facts = ()
        if [type(fact).__name__ for fact in facts] != [event.type for event in stored] or not all(
            is_repeated(fact.encode(), event.stored)
            for fact, event in zip(facts, stored, strict=True)
        ):
            raise RequestReusedError(self.request_id or "", self.name)
        self.after = replay(then, (e.event for e in history if first <= e.version <= last))
        self._repeated = stored

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


class JobsWrite(Pending):
    """What an intent decides on each of several jobs: all of it is written, or nothing."""

    def __init__(
        self,
        names: Sequence[str],
        intent: Intent,
        provenance: Provenance,
        *,
        encrypted: bool = False,
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self._writes = [JobWrite(name, intent, provenance, encrypted=encrypted) for name in names]

    @property
    def after(self) -> list[Job]:
        """The jobs as they are then."""
        return [write.after for write in self._writes]

    def decide(self, jobs: dict[str, Job]) -> None:
        """Raises what the intent raises of any of them, before anything is changed."""
        after = dict(jobs)
        for write in self._writes:
            write.decide(after)
        self.rows = [row for write in self._writes for row in write.rows]
        self.prepared = {n: made for w in self._writes for n, made in w.prepared.items()}
        jobs.update(after)


class DecidedWrite(Pending):
    """Events decided elsewhere, of any number of jobs, written all or not at all.

    `rows` may hold events of other aggregates too; only `events` are folded into jobs.
    """

    def __init__(self, rows: Sequence[Row], events: Sequence[Event]) -> None:
        super().__init__()
        self.rows = rows
        self.names = tuple({event.name: None for event in events})
        self.assumed_new = {
            event.name: Job(name=event.name) for event in events if event.version == 1
        }
        self._events = events

    def decide(self, jobs: dict[str, Job]) -> None:
        """The events are folded, not judged: they are history."""
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
    """What became of the jobs that are not as they were; prepared changes are used where they fit."""
    made = []
    for name, job in after.items():
        was = before[name]
        if job is not was:
            ready = prepared.get(name)
            fits = ready is not None and ready.before is was and ready.after is job
            made.append(ready if ready is not None and fits else change(was, job))
    return made
