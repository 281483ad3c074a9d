"""Which attempt of a job a report speaks of, and whether it begins a new one.

A report may name its attempt in its data: by `attempt`, the number that the job shows (from 1),
or by `runId`, an id that its reporter gave to that attempt and to no other. A number counts more
than an id. A report that names nothing speaks of the current attempt.

A job that runs, and is reported to be queued, prepared or retried, was sent back: a new attempt
begins. A second `Started` of a running job proves nothing, because reports are delivered twice and
come from two reporters: it begins a new attempt only if it names one. Neither does a report that
occurred before what is known already; it is late. A job that has ended begins again only by
`Retried`, or by a report that names another attempt than the one that ended.
"""

from datetime import datetime
from typing import Final, NamedTuple, Protocol

from jobledger.domain import events as e
from jobledger.domain.data import Data
from jobledger.domain.states import (
    EVALUATION_JOBS,
    TERMINAL,
    JobState,
    Standing,
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
    """What a report's attempt is told by: a Job."""

    @property
    def kind(self) -> str: ...
    @property
    def state(self) -> JobState | None: ...
    @property
    def standing(self) -> Standing: ...
    @property
    def attempt(self) -> int: ...
    @property
    def update_time(self) -> datetime | None: ...
    @property
    def run_ids(self) -> RunIds: ...


class Named(NamedTuple):
    """The attempt that a report names; both are None if it names none."""

    number: int | None
    run_id: str | None


UNNAMED: Final = Named(None, None)


def named_attempt(report: Data) -> Named:
    """What the report's data says in `attempt` and `runId`; an `attempt` that is text is a run id.

    Values that cannot name an attempt, such as 0, name none: whoever counts from 0 gives run ids.
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
    """How many attempts after the job's current one the report speaks of; EARLIER for one before it.

    `at` is when it occurred, None for now.
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
    """Whether a report with a new id begins an attempt after one that had no id, and has ended."""
    begins = isinstance(report, BEGINNINGS) and job.state in TERMINAL
    return begins and not is_late(job, at)


def is_late(job: Attempted, at: datetime | None) -> bool:
    """Whether what occurred `at` that time occurred before something that is known already."""
    return at is not None and job.update_time is not None and at < job.update_time


def sends_back(report: Data, job: Attempted, at: datetime | None) -> bool:
    """Whether a report that names no other attempt than the current one begins the next all the same.

    By its number or run id a report may say that it is of the current attempt: then it does not.
    """
    number, run_id = named_attempt(report)
    is_current = number is not None or (run_id is not None and run_id in job.run_ids)
    again = begins_attempt(type(report).__name__, job.standing, job.kind, named=False)
    return again and not is_current and not is_late(job, at)


def repeats_retry(report: Data, job: Attempted) -> bool:
    """Whether it says of the current attempt, by name, that it is a new one; that is known already."""
    if not isinstance(report, e.Retried) or job.kind == EVALUATION_JOBS:
        return False
    number, run_id = named_attempt(report)
    return number == job.attempt or (number is None and run_id in job.run_ids[-1:])


def settled(report: Data, job: Attempted, begun: int) -> Data:
    """The report as it is recorded: with how many attempts it begins, and the number of the last one."""
    if not isinstance(report, BEGINNINGS):
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
    """A job's run ids once an attempt began or was named, the current attempt's last.

    The last is None if the current attempt has no id and an earlier one had.
    """
    if run_id is None and not begun:
        return run_ids
    known = tuple(other for other in run_ids if other is not None and other != run_id)
    if run_id is not None:
        return (*known, run_id)[-MAX_RUN_IDS:]
    return (*known[-MAX_RUN_IDS:], None) if known else ()
