"""Pending writes that decide on one job, or on several at once."""

import operator
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol, Self

from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError, LedgerError, RequestReusedError
from jobledger.domain.events import Event
from jobledger.domain.job import Job, absent, fold, recorded
from jobledger.domain.values.names import project_of
from jobledger.infra.eventstore.commit.appender import Appender
from jobledger.infra.eventstore.stored_event import Placed, RecordedEvent, entered_state, row_of
from jobledger.infra.eventstore.writes.pending import Pending
from jobledger.infra.privacy.envelope import MARKER, NotEncryptedError
from jobledger.projections.jobs import change

MANY_EVENTS: Final = 50_000
"""Deciding on a job with more events takes so long that other writers should not wait for it."""
TRIES_WITH_MANY: Final = 5


class Intent(Protocol):
    """Decides which events happen to a job; `past` has all of its events, if they were requested.

    Raises LedgerError to refuse, and PastNeededError to request the job's events.
    """

    def __call__(self, job: Job, *, past: Sequence[Event] | None) -> Sequence[Data]:
        """Returns the data of the events."""
        ...


class Provenance(NamedTuple):
    """The origin of an event: when it occurred (UTC), its actor, its request, its trace."""

    occurred_time: datetime
    actor: str | None = None
    request_id: str | None = None
    trace_parent: str | None = None


class JobWrite(Pending):
    """A write to one job."""

    before: Job | None = None
    """The job on which it was decided."""
    events: Sequence[Event] = ()
    is_plain: bool = False
    """Whether it contains personal values that are not encrypted."""
    _repeated: Sequence[RecordedEvent] = ()

    def __init__(
        self,
        name: str,
        intent: Intent,
        provenance: Provenance,
        *,
        encrypted: bool = False,
        past: Sequence[Event] | None = None,
        mend: Callable[[], Intent] | None = None,
        is_one_of_many: bool = False,
    ) -> None:
        """`is_one_of_many`: whether the job's row is made from several writes, so this one makes none.

        `encrypted`: whether all personal values in the intent are encrypted.

        `mend` makes an intent whose events can be stored, if those of `intent` cannot.
        `past` has all events of the job, if a late report must be placed among them.
        """
        super().__init__()
        self.name = name
        self.names = (name,)
        self.request_id = provenance.request_id
        if self.request_id is not None:
            self.request_key = f"{project_of(name)}/{self.request_id}"
        self.after: Job
        self._intent = intent
        self._past = past
        self._mend = mend
        self._provenance = provenance
        self._encrypted = encrypted
        self._is_one_of_many = is_one_of_many
        self._encoded: list[bytes]

    @property
    def result(self) -> Job:
        """The job after the write."""
        return self.after if self.placed is None else self.after.known_at(self.placed.recorded_time)

    def prepare(self, job: Job) -> None:
        """Decides on `job`, and encodes the events; raises LedgerError if the request is refused."""
        self.before, self.rows = None, ()
        after, events, encodings, rows = job, [], [], []
        for fact, encoded in self._decided(job, self._past):
            event = Event(self.name, after.version + 1, fact, *self._provenance)
            after = recorded(after, event, self._past)
            events.append(event)
            encodings.append(encoded)
            rows.append(row_of(event, encoded))
        self.events, self._encoded = events, encodings
        self.is_plain = not self._encrypted and MARKER in b"".join(encodings)
        self.before, self.after, self.rows = job, after, rows
        is_prepared = rows and not self._is_one_of_many
        self.prepared = {self.name: change(job, after)} if is_prepared else {}

    def among(self, past: Sequence[Event], tries: int = 0) -> Self:
        """Returns the same write, decided on all events of its job, so that a late report can be placed.

        `tries` is how often another writer was faster. After the first time, others are kept out while it is
        written; after a few more if the job has very many events, as that takes long.
        """
        write = type(self)(
            self.name,
            self._intent,
            self._provenance,
            encrypted=self._encrypted,
            past=past,
            mend=self._mend,
        )
        write.alone = tries >= (1 if len(past) <= MANY_EVENTS else TRIES_WITH_MANY)
        write.decide_ahead(fold(Job(name=self.name), past))
        return write

    def decide_ahead(self, job: Job | None) -> None:
        """Decides in the caller's thread, on a job that may be outdated; None means that it is assumed to be new.

        A refusal is decided again when the job's current state is known.
        """
        try:
            self.prepare(job or absent(self.name))
        except LedgerError:
            return
        if job is None and self.before is not None:
            self.assumed_new = {self.name: self.before}

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        """Does the same, among all events of its job if it was decided so."""
        if self._past:
            newer = appender.history(self.name, after=self._past[-1].version)
            self._past = [*self._past, *newer]
        return super().write(appender, jobs)

    def decide(self, jobs: dict[str, Job]) -> None:
        """Decides again, unless the job is the one that it was prepared on."""
        job = jobs[self.name]
        if self.before is not job and not self._is_decided_among_all(job):
            self.prepare(job)
        if self.is_plain:
            raise NotEncryptedError
        jobs[self.name] = self.after

    def _is_decided_among_all(self, job: Job) -> bool:
        """Whether it was decided on the same events, which takes long if there are many."""
        before = self.before if self._past else None
        return before is not None and before.version == job.version

    def repeat(
        self,
        history: Sequence[RecordedEvent],
        is_repeated: Callable[[bytes, bytes], bool] = operator.eq,
    ) -> None:
        """Answers with the events that the same request wrote before.

        Args:
            history: The job's events.
            is_repeated: Compares the data of this write with stored data.

        Raises:
            RequestReusedError: The intent decides differently on the job as it was at that time.
        """
        stored = [event for event in history if event.request_id == self.request_id]
        first, last = stored[0].version, stored[-1].version
        before = [event.event for event in history if event.version < first]
        then = fold(Job(name=self.name), before)
        try:
            decided = self._decided(then, before)
        except LedgerError:
            decided = []
        types = [type(fact).__name__ for fact, _ in decided]
        if types != [event.type for event in stored] or not all(
            is_repeated(encoded, event.stored)
            for (_, encoded), event in zip(decided, stored, strict=True)
        ):
            raise RequestReusedError(self.request_id or "", self.name)
        events = [event.event for event in history if event.version <= last]
        self.after = fold(Job(name=self.name), events)
        self._repeated = stored

    def _decided(self, job: Job, past: Sequence[Event] | None) -> list[tuple[Data, bytes]]:
        """Decides and encodes the events; they are mended if they cannot be stored."""
        try:
            return [(fact, fact.encode()) for fact in self._intent(job, past=past)]
        except InvalidFieldError:
            if self._mend is None:
                raise
            self._intent, self._mend = self._mend(), None
            return self._decided(job, past)

    def recorded(self) -> list[RecordedEvent]:
        """The events that were written."""
        if self.placed is None:
            return list(self._repeated)
        assert self.before is not None
        state, recorded = self.before.state, []
        position, recorded_time = self.placed
        for event, encoded in zip(self.events, self._encoded, strict=True):
            name, version, data, occurred_time, actor, request_id, trace_parent, _ = event
            type_, schema = event.type, data.schema_number
            state = entered_state(type_, schema, encoded) or state
            # Keyword arguments would take twice the time, for every event.
            recorded.append(
                RecordedEvent(
                    position,
                    name,
                    version,
                    type_,
                    schema,
                    occurred_time,
                    recorded_time,
                    actor,
                    request_id,
                    trace_parent,
                    encoded,
                    state,
                )
            )
            position += 1
        return recorded


class JobsWrite(Pending):
    """A write to several jobs, atomically."""

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
        """The jobs after the write."""
        afters = (write.after for write in self._writes)
        placed = self.placed
        return [job if placed is None else job.known_at(placed.recorded_time) for job in afters]

    def decide(self, jobs: dict[str, Job]) -> None:
        """Decides on all of the jobs; raises the intent's error for any of them before it changes anything."""
        after = dict(jobs)
        for write in self._writes:
            write.decide(after)
        self.rows = [row for write in self._writes for row in write.rows]
        self.prepared = {n: made for w in self._writes for n, made in w.prepared.items()}
        jobs.update(after)
