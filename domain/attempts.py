"""Which attempt of a job a report is about, and whether the report begins a new attempt.

A report may name its attempt in its data: by `attempt`, the attempt's number (from 1, as
`Job.attempt`), or by `runId`, an id that the reporter uses for that attempt only. If both are
given, the number counts. A report that names no attempt is about the current one.

If a running job is reported as queued, preparing or retried, it was sent back: a new attempt
begins. A second `Started` of a running job does not begin an attempt, because reports may be
delivered twice or come from two reporters, unless it names one. Neither does a late report (one
that occurred before an event that is recorded already). A job that has ended begins again only by
`Retried`, or by a report that names another attempt than the ended one.
"""

from datetime import datetime
from typing import Final, NamedTuple, Protocol

from jobledger.domain import events as e
from jobledger.domain.data import Data
from jobledger.domain.states import (
    EVALUATION_JOBS,
    TERMINAL,
    JobState,
    Stage,
    begins_attempt,
)

BEGINNINGS: Final = (e.Queued, e.Preparing, e.Started, e.Retried)
"""The reports that can begin an attempt; they hold `attempts_begun` and `run_id`."""
Beginning = e.Queued | e.Preparing | e.Started | e.Retried
OF_AN_ATTEMPT: Final = (
    *BEGINNINGS,
    e.Updating,
    e.Updated,
    e.Paused,
    e.Resumed,
    e.Cancelling,
    e.Cancelled,
    e.Succeeded,
    e.PartiallySucceeded,
    e.Failed,
    e.Expired,
    e.ProgressReported,
)
"""The reports that speak of one attempt; all others speak of the job."""
RunIds = tuple[str | None, ...]
"""The ids that a job's attempts were named by, the current attempt's last."""
MAX_RUN_IDS: Final = 100
"""How many of a job's run ids are remembered, the latest ones."""
EARLIER: Final = -1
"""What `attempts_ahead` returns for a report on an attempt before the current one."""


class Attempted(Protocol):
    """The fields of a Job that decide which attempt a report is about."""

    @property
    def kind(self) -> str:
        """The job's collection."""

    @property
    def state(self) -> JobState | None:
        """Its state; None before it was created."""

    @property
    def stage(self) -> Stage:
        """Its stage."""

    @property
    def attempt(self) -> int:
        """The number of the current attempt, from 1."""

    @property
    def update_time(self) -> datetime | None:
        """The latest time of any of its events (UTC)."""

    @property
    def run_ids(self) -> RunIds:
        """The reporters' ids of its attempts, the current one's last."""


class Named(NamedTuple):
    """The attempt that a report names; both are None if it names none."""

    number: int | None
    run_id: str | None


UNNAMED: Final = Named(None, None)


def named_attempt(report: Data) -> Named:
    """Reads the attempt that a report names in `attempt` and `runId`; text in `attempt` is a run id.

    Args:
        report: The report. A value that cannot name an attempt, such as 0, is ignored: reporters
            that count from 0 use run ids.

    Returns:
        The number and the run id; both are None if the report names no attempt.
    """
    further = report.__pydantic_extra__ or {}
    given, run_id = further.get("attempt"), report.__dict__.get("run_id", further.get("runId"))
    if (given is None and run_id is None) or not isinstance(report, OF_AN_ATTEMPT):
        return UNNAMED
    if isinstance(given, int) and not isinstance(given, bool) and 0 < given <= e.MAX_ATTEMPT:
        return Named(given, _run_id(run_id))
    text = given if isinstance(given, str) else None
    return Named(None, _run_id(run_id) or _run_id(text))


def _run_id(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and 0 < len(value) <= e.MAX_RUN_ID else None


def attempts_ahead(report: Data, job: Attempted, at: datetime | None = None) -> int:
    """Returns how many attempts after the job's current one a report is about.

    Args:
        report: The report.
        job: The job before the report.
        at: When the report occurred (UTC); None is now.

    Returns:
        0 for the current attempt, or EARLIER for any attempt before it.
    """
    if job.kind == EVALUATION_JOBS:
        return 0
    number, run_id = named_attempt(report)
    if number is not None:
        return max(number - job.attempt, EARLIER)
    if run_id is None:
        return 0
    current = job.run_ids[-1] if job.run_ids else None
    if run_id in job.run_ids:
        return 0 if run_id == current else EARLIER
    is_new = current is not None or isinstance(report, e.Retried)
    return 1 if is_new or _follows_the_end(report, job, at) else 0


def _follows_the_end(report: Data, job: Attempted, at: datetime | None) -> bool:
    """Whether a report with a new run id begins an attempt after an ended one without a run id."""
    begins = isinstance(report, BEGINNINGS) and job.state in TERMINAL
    return begins and not is_late(job, at)


def is_late(job: Attempted, at: datetime | None) -> bool:
    """Whether an event at time `at` occurred before an event that is recorded already."""
    return at is not None and job.update_time is not None and at < job.update_time


def sends_back(report: Data, job: Attempted, at: datetime | None) -> bool:
    """Whether a report that names no later attempt begins the next one: the job was sent back.

    Args:
        report: The report. If it names the current attempt, by number or run id, it begins none.
        job: The job before the report.
        at: When the report occurred (UTC); None is now.

    Returns:
        Whether it begins the next attempt.
    """
    number, run_id = named_attempt(report)
    is_current = number is not None or (run_id is not None and run_id in job.run_ids)
    again = begins_attempt(type(report).__name__, job.stage, job.kind, named=False)
    return again and not is_current and not is_late(job, at)


def repeats_retry(report: Data, job: Attempted) -> bool:
    """Whether a `Retried` report names the current attempt, whose beginning is recorded already."""
    if not isinstance(report, e.Retried) or job.kind == EVALUATION_JOBS:
        return False
    number, run_id = named_attempt(report)
    return number == job.attempt or (number is None and run_id in job.run_ids[-1:])


def settled(report: Data, job: Attempted, begun: int) -> Data:
    """Returns the report as it is recorded: with the number of attempts that it begins."""
    if not isinstance(report, BEGINNINGS):
        return report
    if report.attempts_begun == begun and not report.__pydantic_extra__:
        return report
    changes: dict[str, object] = {}
    if report.attempts_begun != begun:
        changes["attempts_begun"] = begun
        if begun and "attempt" not in (report.__pydantic_extra__ or {}):
            changes["attempt"] = job.attempt + begun
    if (run_id := named_attempt(report).run_id) != report.run_id:
        changes["run_id"] = run_id
    return report.model_copy(update=changes) if changes else report


def remembered(run_ids: RunIds, run_id: str | None, begun: int) -> RunIds:
    """Adds an attempt or its name to a job's run ids.

    Args:
        run_ids: The job's run ids.
        run_id: The run id of the event; None if it has none.
        begun: The number of attempts that the event begins.

    Returns:
        The run ids; the last is the current attempt's, or None if only earlier attempts have one.
    """
    if run_id is None and not begun:
        return run_ids
    known = tuple(other for other in run_ids if other is not None and other != run_id)
    if run_id is not None:
        return (*known, run_id)[-MAX_RUN_IDS:]
    return (*known[-MAX_RUN_IDS:], None) if known else ()
