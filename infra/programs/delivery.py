"""Records a run in the ledger: its beginning, then its reports, each once and in order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from jobledger.domain import errors as d
from jobledger.domain.commands import ChangeConfig, ChangeLabels, CreateJob
from jobledger.domain.data import Data, parse
from jobledger.domain.errors import JobExistsError, JobNotFoundError, LedgerError
from jobledger.domain.leases import lost, lost_time
from jobledger.domain.reports import parse_report, storable
from jobledger.domain.running import ENDINGS, RunRecord
from jobledger.domain.states import TERMINAL, WAITING
from jobledger.infra.read.store import Store

if TYPE_CHECKING:
    from jobledger.domain.job import Job

REFUSALS: Final = (
    d.InvalidFieldError,
    d.JobNotFoundError,
    d.JobExistsError,
    d.IllegalTransitionError,
    d.EtagMismatchError,
    d.RequestReusedError,
)
"""Errors about what a run reports; all others are about the ledger, which may take it later."""


class BusyError(LedgerError):
    """The job runs in another attempt, which the end of this run must not end."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} is in another attempt now, and this run is recorded after it")


def is_refusal(error: Exception) -> bool:
    """Whether recording would always fail again: the error is about the run, and not about the server."""
    return isinstance(error, REFUSALS)


class Delivery:
    """Records one run, and continues after an interruption; request ids identify its steps."""

    def __init__(self, store: Store, record: RunRecord, *, late: bool = False) -> None:
        """`late`: the run is over, so that it does not begin an attempt while another one runs."""
        self._store = store
        self._record = record
        self._is_late = late
        self._has_begun = False
        self._done = 0
        self.recorded: list[str] = []
        """The types of the recorded events."""
        self.notes: list[str] = []
        """Notes for the user about what was recorded."""

    @property
    def is_complete(self) -> bool:
        """Whether all reports so far were recorded."""
        return self._has_begun and self._done == len(self._record.reports)

    @property
    def missing(self) -> list[str]:
        """The types of the reports that were not recorded yet."""
        reports = [report.type for report in self._record.reports[self._done :]]
        return reports if self._has_begun else ["Created", *reports]

    def begin(self, *, once: bool = False) -> None:
        """Creates the job, or begins a new attempt.

        Args:
            once: Refuse a job that exists.

        Raises:
            JobExistsError: The job exists, and `once` is set.
            BusyError: The ledger is busy.
            LedgerError: Anything else that the writer raises.
        """
        record = self._record
        fields = {"labels": record.labels, "spec": storable(record.spec)}
        try:
            create = parse(CreateJob, fields)
            self._store.writer.command(record.name, create, **self._about("begin"))
            self.recorded.append("Created")
        except JobExistsError as error:
            if once:
                raise
            self._begin_again(error, fields)
        self._has_begun = True

    def deliver(self) -> None:
        """Records all reports that were not recorded yet; raises what `begin` raises."""
        if not self._has_begun:
            self.begin()
        while self._done < len(self._record.reports):
            report = self._record.reports[self._done]
            data = parse_report(report.type, report.data)
            self._report(data, report.type, report.time)
            self._done += 1
            self.recorded.append(report.type)

    def report_lost(self, last_sign: datetime) -> None:
        """Records that the run's process was lost, unless its end is known already.

        `last_sign` is the time of its last sign of life.
        """
        job = self._store.reader.get(self._record.name)
        report = lost(job, self._record.run_id, last_sign)
        if report is not None:
            self._report(report, type(report).__name__, lost_time(job, last_sign))

    def _begin_again(self, error: JobExistsError, fields: Mapping[str, Any]) -> None:
        try:
            job = self._store.reader.get(self._record.name)
        except JobNotFoundError:
            raise error from None  # The job was deleted.
        if job.state in WAITING or self._record.run_id in job.run_ids:
            return
        if job.state not in TERMINAL:
            if self._is_late:
                raise BusyError(job.name)
            state = "in no state" if job.state is None else job.state.name
            self.notes.append(
                f"{job.name} is {state} in attempt {job.attempt}, and this run is a new attempt"
            )
        retried = parse_report("Retried", {"reason": "run again"})
        if self._report(retried, "Retried", self._record.time):
            self.recorded.append("Retried")
            self._replace(job, fields)

    def _replace(self, job: Job, fields: Mapping[str, Any]) -> None:
        """Replaces configuration and labels for a new attempt, where they are given."""
        write = self._store.writer.command
        spec = parse(ChangeConfig, {"spec": job.spec | fields["spec"]})
        write(job.name, spec, **self._about("spec"))
        labels = parse(ChangeLabels, {"labels": job.labels | fields["labels"]})
        write(job.name, labels, **self._about("labels"))

    def _report(self, data: Data, type_: str, time: datetime) -> bool:
        """Records a report; returns whether it was recorded as it is, and not as a contradiction."""
        about = self._about("end" if type_ in ENDINGS else type_, time)
        recorded = self._store.writer.report(
            self._record.name, data, run_id=self._record.run_id, **about
        )
        last = recorded.events[-1]
        if last.type != "Contradicted":
            return True
        self.notes.append(
            f"{self._record.name} is {last.json['state']}, so that {type_} is kept as Contradicted"
        )
        return False

    def _about(self, step: str, time: datetime | None = None) -> Any:
        record = self._record
        return {
            "occurred_time": time or record.time,
            "actor": record.actor,
            "request_id": record.request_id(step),
        }
