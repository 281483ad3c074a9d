"""Writes for callers in threads."""

from collections.abc import Generator, Iterable
from typing import Any, TypeVar, Unpack

from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.errors import LedgerError, VersionConflictError
from jobledger.domain.events import Event
from jobledger.domain.job import Job
from jobledger.infra.eventstore.commit.bulk import BulkWrite, bulk_writes
from jobledger.infra.eventstore.commit.committer import Committer
from jobledger.infra.eventstore.commit.pending import JobWrite, Pending
from jobledger.infra.eventstore.commit.resumed import ResumedWrite
from jobledger.infra.eventstore.feed import Feed
from jobledger.infra.eventstore.verbs import About, AboutReport
from jobledger.infra.eventstore.write_path import (
    ObservedEvent,
    Recorded,
    ReportedEvent,
    Step,
    WritePath,
)
from jobledger.infra.privacy.subject_keys import SubjectKeys

Result = TypeVar("Result")


class Writer:
    """Writes to one ledger; any number of threads may use it."""

    def __init__(self, committer: Committer, feed: Feed, keys: SubjectKeys) -> None:
        self.committer = committer
        self._keys = keys
        self._path = WritePath(committer.cache, feed, keys)

    def write(self, name: str, request: Data | JobCommand, about: About) -> JobWrite:
        """Writes what the request makes happen; returns how it was settled."""
        return self._run(self._path.write(name, request, about))

    def command(self, name: str, command: JobCommand, **about: Unpack[About]) -> Recorded:
        """Writes what the command makes happen; the methods of `Verbs` say what they raise."""
        return Recorded.by(self.write(name, command, about))

    def report(self, name: str, data: Data, **about: Unpack[AboutReport]) -> Recorded:
        """Writes what was seen to happen, or that it contradicts what is known (`Contradicted`)."""
        return Recorded.by(self.write(name, data, about))

    def command_all(
        self, names: Iterable[str], command: JobCommand, **about: Unpack[About]
    ) -> tuple[list[Job], int]:
        """Asks the same of several jobs: all of it is done, or nothing.

        Returns the jobs, and the position of the last event. Raises what `command` does.
        """
        return self._run(self._path.write_all(names, command, about))

    def report_many(
        self, reports: Iterable[ReportedEvent | ObservedEvent]
    ) -> list[Recorded | LedgerError]:
        """Writes reports on any jobs in one go, in their order; returns what came of each.

        One that is refused (there is no such job, its request id was used otherwise) keeps no
        other back.
        """
        return self._run(self._path.write_many(reports))

    def append_many(self, events: Iterable[Event]) -> int:
        """Writes events that are decided already, as they are: an export, a migration.

        Each takes its place by its name and version. They are committed by the
        thousand, in their order; returns how many were written. One that is there already,
        the same at the same version, is left out, so that an append that broke off can be
        repeated. Raises VersionConflictError at the first that neither is there nor follows
        what is there; what came before it stays.
        """
        writes = bulk_writes(events, self._keys.encrypt_event)
        return sum(map(self._write_bulk, writes))

    def _write_bulk(self, write: BulkWrite) -> int:
        try:
            self.submit(write)
        except VersionConflictError:
            write = ResumedWrite(write, self._keys.is_repeated)
            self.submit(write)
        return len(write)

    def submit(self, write: Pending) -> None:
        """Writes something other than a decision on jobs; returns once it is durable.

        Raises what it failed with.
        """
        self._wait([write])
        if write.error is not None:
            raise write.error

    def close(self) -> None:
        """Writes what still waits; later writes are refused."""
        self.committer.close()

    def _run(self, steps: Generator[Step, Any, Result]) -> Result:
        answer = None
        try:
            while True:
                answer = self._wait(steps.send(answer))
        except StopIteration as end:
            result: Result = end.value
            return result

    def _wait(self, step: Step) -> Any:
        if callable(step):
            return step()
        self.committer.submit(step)
        return None
