"""Writes for callers in threads."""

from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.errors import LedgerError, VersionConflictError
from jobledger.domain.events import Event
from jobledger.domain.job import Job
from jobledger.infra.eventstore.commit.committer import Committer
from jobledger.infra.eventstore.feed import Feed
from jobledger.infra.eventstore.methods.request import About, about_command, about_report
from jobledger.infra.eventstore.write_path import (
    ObservedEvent,
    Recorded,
    ReportedEvent,
    Step,
    WritePath,
)
from jobledger.infra.eventstore.writes.bulk import BulkWrite, bulk_writes
from jobledger.infra.eventstore.writes.job_write import JobWrite
from jobledger.infra.eventstore.writes.observations import Introduction, Observation
from jobledger.infra.eventstore.writes.observed_write import ObservedWrite
from jobledger.infra.eventstore.writes.pending import Pending
from jobledger.infra.eventstore.writes.resumed import ResumedWrite
from jobledger.infra.privacy.subject_keys import SubjectKeys

Result = TypeVar("Result")


class Writer:
    """Writes to one ledger; any number of threads may use it."""

    def __init__(self, committer: Committer, feed: Feed, keys: SubjectKeys) -> None:
        self.committer = committer
        self._keys = keys
        self._feed = feed
        self._path = WritePath(committer.cache, feed, keys)

    def write(self, name: str, request: Data | JobCommand, about: About) -> JobWrite:
        """Writes the events that the request causes; returns the settled write."""
        return self._run(self._path.write(name, request, about))

    def command(
        self,
        name: str,
        command: JobCommand,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Recorded:
        """Sends a command, and returns the events that it caused with the job.

        Args:
            name: The job's resource name (AIP-122).
            command: A command of domain/commands.py, such as `CancelJob(reason="quota")`.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that asks for it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).

        Returns:
            The job after the command, and the events written for it: none if the job is as
            asked for already.

        Raises:
            JobExistsError: `CreateJob` names a job that exists.
            JobNotFoundError: There is no such job, or it was deleted.
            EtagMismatchError: The job has changed since `command.etag` was read.
            IllegalTransitionError: The job's state does not allow the command.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> from jobledger.domain.commands import CancelJob, CreateJob
            >>> _ = ledger.command("projects/demo/jobs/a", CreateJob(labels={"team": "vision"}))
            >>> done = ledger.command("projects/demo/jobs/a", CancelJob(reason="quota"))
            >>> done.job.state.name, [event.type for event in done.events]
            ('CANCELLED', ['Cancelling', 'Cancelled'])
        """
        about = about_command(occurred_time, actor, request_id, trace_parent)
        return Recorded.by(self.write(name, command, about))

    def report(
        self,
        name: str,
        data: Data,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Recorded:
        """Records a report of an event of a job.

        A report that the job's state does not allow is recorded as `Contradicted`.

        Args:
            name: The job's resource name (AIP-122).
            data: The data of an event of domain/events.py, such as `Started()`.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that reports it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).
            attempt: The number of the attempt that the report is about, from 1 (`Job.attempt`).
                None is the current attempt.
            run_id: The reporter's own id of that attempt, instead of its number: 1 to 256
                printable characters. domain/attempts.py defines when a report begins a new attempt.

        Returns:
            The job after the report, and the events written for it.

        Raises:
            JobNotFoundError: There is no such job.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> from jobledger.domain.events import Started
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> done = ledger.report("projects/demo/jobs/a", Started(), run_id="run-1")
            >>> done.job.state.name, [event.type for event in done.events]
            ('RUNNING', ['Started'])
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return Recorded.by(self.write(name, data, about))

    def command_all(
        self,
        names: Iterable[str],
        command: JobCommand,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> tuple[list[Job], int]:
        """Sends one command to several jobs in one transaction: all of them change, or none.

        Args:
            names: The jobs' resource names (AIP-122); a repeated name counts once.
            command: A command of domain/commands.py.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that asks for it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).

        Returns:
            The jobs after the command, and the position of the last event written.

        Raises:
            JobExistsError: `CreateJob` names a job that exists.
            JobNotFoundError: One of the jobs does not exist, or was deleted.
            IllegalTransitionError: The state of one of the jobs does not allow the command.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> from jobledger.domain.commands import CancelJob
            >>> names = ["projects/demo/jobs/a", "projects/demo/jobs/b"]
            >>> _ = [ledger.create(name) for name in names]
            >>> jobs, position = ledger.command_all(names, CancelJob())
            >>> [job.state.name for job in jobs], position
            (['CANCELLED', 'CANCELLED'], 6)
        """
        about = about_command(occurred_time, actor, request_id, trace_parent)
        return self.write_all(names, command, about)

    def write_all(
        self, names: Iterable[str], command: JobCommand, about: About
    ) -> tuple[list[Job], int]:
        """Writes one command on several jobs, as `command_all` does."""
        return self._run(self._path.write_all(names, command, about))

    def report_many(
        self, reports: Iterable[ReportedEvent | ObservedEvent]
    ) -> list[Recorded | LedgerError]:
        """Records reports on any jobs in one transaction, in their order.

        A report that is refused does not affect the others.

        Args:
            reports: Each with the job's name, the event's data, and its metadata.

        Returns:
            For each report, in order: the job and the events written, or the error that refused it.

        Raises:
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> from jobledger import ReportedEvent
            >>> from jobledger.domain.events import Created, Started
            >>> outcomes = ledger.report_many([
            ...     ReportedEvent("projects/demo/jobs/a", Created()),
            ...     ReportedEvent("projects/demo/jobs/a", Started(), {"actor": "node-7"}),
            ...     ReportedEvent("projects/demo/jobs/missing", Started()),
            ... ])
            >>> [type(outcome).__name__ for outcome in outcomes]
            ['Recorded', 'Recorded', 'JobNotFoundError']
        """
        return self._run(self._path.write_many(reports))

    def append_many(self, events: Iterable[Event]) -> int:
        """Appends events that were decided elsewhere, unchanged: from an export or a migration.

        Events are committed by the thousand, in order. An event that is stored already, the same
        at the same version, is skipped, so that an interrupted append can be repeated.

        Args:
            events: Events with their job's name and version; of each job in the order of versions.

        Returns:
            How many events were written.

        Raises:
            VersionConflictError: An event neither is stored already nor follows the job's last
                version; the events before it stay.
            InvalidFieldError: An event's data cannot be encoded.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> from datetime import UTC, datetime
            >>> from jobledger import Event
            >>> from jobledger.domain.events import Created
            >>> then = datetime(2026, 1, 1, tzinfo=UTC)
            >>> event = Event("projects/demo/jobs/a", 1, Created(), then)
            >>> ledger.append_many([event]), ledger.append_many([event]), ledger.size()
            (1, 0, 1)
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

    def observed_write(
        self,
        observed: Sequence[Observation | Introduction],
        meanwhile: Callable[[], None],
        *,
        new: bool = False,
    ) -> ObservedWrite:
        """Decides reports of other systems; the returned write can be submitted.

        Args:
            observed: The reports, in their order.
            meanwhile: Called while the server works.
            new: Whether nobody recorded them before, unless their jobs changed since they were known.

        Returns:
            The write.

        Raises:
            NotEncryptedError: A report holds personal values.
        """
        return ObservedWrite(
            observed, self._keys.encrypt_event, self.committer.cache.find, meanwhile, new=new
        )

    def size(self) -> int:
        """Returns how many events there are, which is the last position."""
        return self._feed.size()

    def submit(self, write: Pending) -> None:
        """Submits a write that is not a command or report on a job, and returns once it is durable.

        It is for programs that extend the ledger; infra/eventstore/ledger_events.py has the writes.

        Args:
            write: A pending write, such as a `LedgerEventWrite`.

        Raises:
            LedgerError: The error that the write ended with.
        """
        self._wait([write])
        if write.error is not None:
            raise write.error

    def close(self) -> None:
        """Commits the writes that still wait. Later writes are refused."""
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
