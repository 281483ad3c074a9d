"""How jobs are written to: commands, reports, and events that are decided already; `Ledger` inherits it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, Unpack

from jobledger.domain import names
from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError, LedgerError, RequestReusedError
from jobledger.domain.events import Event
from jobledger.domain.job import Job, decide, judge
from jobledger.infra.eventstore.bulk import bulk_writes
from jobledger.infra.eventstore.committer import Committer
from jobledger.infra.eventstore.pending import (
    AlreadyWrittenError,
    JobsWrite,
    JobWrite,
    Provenance,
    Waiting,
    Write,
)
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.eventstore.verbs import About, Commands, Reports
from jobledger.infra.privacy.envelope import MARKER, UnsealedError
from jobledger.infra.privacy.subject_keys import Subjects

Intent = Callable[[Job], Sequence[Data]]


class Recorded(NamedTuple):
    """What came of a command or report: the job as it is now, and the events written for it."""

    job: Job
    events: list[RecordedEvent]


class Report(NamedTuple):
    """What was seen of one job."""

    name: str
    data: Data
    about: About = {}


class Writing(Commands, Reports):
    """Writes through a committer; any number of threads may."""

    def __init__(self, committer: Committer, subjects: Subjects) -> None:
        self._committer = committer
        self._subjects = subjects

    @abstractmethod
    def history(self, name: str) -> list[RecordedEvent]:
        """All events of a job, oldest first; raises JobNotFoundError."""

    @abstractmethod
    def size(self) -> int:
        """The last position."""

    @abstractmethod
    def _lock(self) -> Waiting | None:
        """What the caller of a write waits on; None: a lock that blocks its thread."""

    @abstractmethod
    def _wake(self) -> None:
        """Something was written: there is work behind it."""

    def command(self, name: str, command: JobCommand, **about: Unpack[About]) -> Recorded:
        """Writes what the command makes happen; the methods of `Commands` say what they raise."""
        write = self._write(name, command, about)
        return Recorded(write.after, write.recorded())

    def report(self, name: str, data: Data, **about: Unpack[About]) -> Recorded:
        """Writes what was seen to happen, or that it contradicts what is known (`Contradicted`)."""
        write = self._write(name, data, about)
        return Recorded(write.after, write.recorded())

    def command_all(
        self, names_: Iterable[str], command: JobCommand, **about: Unpack[About]
    ) -> tuple[list[Job], int]:
        """Asks the same of several jobs: all of it is done, or nothing.

        Returns the jobs, and the position of the last event. Raises what `command` does.
        """
        parsed = list(dict.fromkeys(map(names.parse_name, names_)))
        write = JobsWrite(parsed, _intent(command), _provenance(about))
        try:
            self.submit(write)
        except UnsealedError:
            intent = _intent(self._subjects.sealed_said(command))
            write = JobsWrite(parsed, intent, _provenance(about), sealed=True)
            self.submit(write)
        placed = write.placed
        return write.after, placed.first_position + len(write.rows) - 1 if placed else self.size()

    def report_many(self, reports: Iterable[Report]) -> list[Recorded | LedgerError]:
        """Writes reports on any jobs in one go, in their order; what came of each.

        One that is refused (there is no such job, its request id was used otherwise) keeps no other back.
        """
        writes, believed = [], dict[str, Job]()
        for report in reports:
            name, about = names.parse_name(report.name), _provenance(report.about)
            write = JobWrite(name, self._sealed_intent(report.data), about, sealed=True)
            self._prepare(write, believed)
            writes.append(write)
        refusals = self._committer.submit_all(writes)
        self._wake()
        return [self._came_of(*each) for each in zip(writes, refusals, strict=True)]

    def append_many(self, events: Iterable[Event]) -> int:
        """Writes events that are decided already, as they are: an export, a migration.

        Each takes its place by its name and version. They are committed by the
        thousand, in their order; returns how many. Raises VersionConflictError at
        the first that does not follow what is there; what came before it stays.
        """
        written = 0
        for write in bulk_writes(events, self._subjects.sealed_event):
            self.submit(write)
            written += len(write)
        return written

    def submit(self, write: Write) -> None:
        """Writes something other than one decision on one job; returns once it is durable."""
        lock = self._lock()
        if lock is not None:
            write.wait_on(lock)
        self._committer.submit(write)
        self._wake()

    def _command(self, name: str, command: JobCommand, about: About) -> Job:
        return self._write(name, command, about).after

    def _report(self, name: str, data: Data, about: About) -> Job:
        return self._write(name, data, about).after

    def _write(
        self, name: str, said: Data | JobCommand, about: About, *, sealed: bool = False
    ) -> JobWrite:
        write = JobWrite(names.parse_name(name), _intent(said), _provenance(about), sealed=sealed)
        try:
            self._prepare(write, {})
            try:
                self.submit(write)
            except AlreadyWrittenError as already:
                self._repeat(write, already)
        except UnsealedError:
            # Found where the data is encoded in any case: who has no personal parts pays nothing.
            return self._write(name, self._subjects.sealed_said(said), about, sealed=True)
        return write

    def _sealed_intent(self, data: Data) -> Intent:
        """That of a report among many, which must not wait for another try: others come behind it."""
        try:
            return _intent(self._subjects.sealed_data(data) if MARKER in data.encode() else data)
        except InvalidFieldError as error:
            return partial(_refused, error)

    def _prepare(self, write: JobWrite, after: dict[str, Job]) -> None:
        """Decides ahead, on the job as this process believes it is `after` other writes."""
        believed = after.get(write.name) or self._committer.believed(write.name)
        try:
            write.prepare(believed or Job(name=write.name))
        except UnsealedError:
            raise
        except LedgerError:
            return  # The committer will look at the job as it really is.
        after[write.name] = write.after
        if believed is None and write.before is not None:
            write.guesses = {write.name: write.before}

    def _repeat(self, write: JobWrite, already: AlreadyWrittenError) -> None:
        if already.name != write.name:
            raise RequestReusedError(already.request_id, already.name) from already
        write.repeat(self.history(write.name), self._subjects.is_repeated)

    def _came_of(self, write: JobWrite, refusal: BaseException | None) -> Recorded | LedgerError:
        try:
            if isinstance(refusal, AlreadyWrittenError):
                self._repeat(write, refusal)
            elif refusal is not None:
                raise refusal
        except LedgerError as error:
            return error
        return Recorded(write.after, write.recorded())


def _intent(said: Data | JobCommand) -> Intent:
    """What a report or a command makes happen to a job."""
    return partial(_judged, said) if isinstance(said, Data) else partial(decide, said)


def _judged(data: Data, job: Job) -> tuple[Data, ...]:
    return judge(data, job)


def _refused(error: LedgerError, _: Job) -> tuple[Data, ...]:
    raise error


def _provenance(about: About) -> Provenance:
    """What is said about an event, checked; it occurred now if nobody says when."""
    now = datetime.now(UTC)
    if not about:
        return Provenance(now)
    occurred = about.get("occurred_time")
    if unknown := about.keys() - About.__annotations__.keys():
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
    return Provenance(
        occurred_time=now if occurred is None else names.parse_time(occurred, now),
        actor=names.parse_text("actor", about.get("actor")),
        request_id=names.parse_text("request_id", about.get("request_id")),
        trace_parent=names.parse_trace_parent(about.get("trace_parent")),
    )
