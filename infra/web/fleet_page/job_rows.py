"""The rows of the fleet page's list: the texts that each shows of its job."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from jobledger.domain.job import Job
from jobledger.domain.states import TERMINAL
from jobledger.domain.values.moments import Moment
from jobledger.infra.history.durations import elapsed
from jobledger.infra.web.links import LABEL

VERBS: Final = {
    "QUEUED": "queued",
    "PENDING": "being prepared",
    "RUNNING": "running, heard",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "CANCELLING": "being cancelled, heard",
    "CANCELLED": "cancelled",
    "PAUSED": "paused, heard",
    "EXPIRED": "expired",
    "UPDATING": "updating, heard",
    "PARTIALLY_SUCCEEDED": "partly succeeded",
}
"""The words before the time since then."""
MAX_MESSAGE: Final = 300


class Row(NamedTuple):
    """The texts of a row."""

    name: str
    short: str
    state: str
    when: str
    """When it came to its state, such as `failed 12 min ago`."""
    since: datetime | None
    lasted: str
    """How long it ran, or has been running."""
    share: float
    """That time, in percent of the longest time on the page."""
    message: str
    """The first line of its error."""
    cells: list[tuple[str, Any]]
    """The columns with their values; None for the columns that the other fields show."""


def rows_of(jobs: Sequence[Job], columns: Iterable[str], moment: Moment) -> list[Row]:
    """Returns the rows of a page of jobs."""
    readers = [(column, _reader(column)) for column in columns]
    lasted = [_ran(job, moment.time) for job in jobs]
    longest = max(filter(None, lasted), default=timedelta()) or timedelta.resolution
    return [
        _row(job, ran, longest, [(column, read(job)) for column, read in readers], moment.time)
        for job, ran in zip(jobs, lasted, strict=True)
    ]


def _row(
    job: Job, ran: timedelta | None, longest: timedelta, cells: list[tuple[str, Any]], at: datetime
) -> Row:
    state = "" if job.state is None else job.state.name
    since = job.end_time if job.state in TERMINAL else job.update_time
    return Row(
        name=job.name,
        short=job.name.rpartition("/")[2],
        state=state,
        when="" if since is None else _when(state, at - since),
        since=since,
        lasted="" if ran is None else elapsed(ran),
        share=0.0 if ran is None else round(100 * (ran / longest), 1),
        message=(job.error_message or "").strip().partition("\n")[0][:MAX_MESSAGE],
        cells=cells,
    )


def _when(state: str, passed: timedelta) -> str:
    return f"{VERBS.get(state, '')} {elapsed(max(passed, timedelta()))} ago"


def _ran(job: Job, at: datetime) -> timedelta | None:
    begin = job.start_time
    return None if begin is None else max(timedelta(), (job.end_time or at) - begin)


def _reader(column: str) -> Callable[[Job], Any]:
    """Returns a function that reads a column's value from a job."""
    if column.startswith(LABEL):
        key = column[len(LABEL) :]
        return lambda job: job.labels.get(key)
    return READERS.get(column, _nothing)


def _nothing(_: Job) -> None:
    return None


def _display_name(job: Job) -> Any:
    return job.spec.get("displayName") if isinstance(job.spec, dict) else None


READERS: Final[dict[str, Callable[[Job], Any]]] = {
    "createTime": lambda job: job.create_time,
    "startTime": lambda job: job.start_time,
    "endTime": lambda job: job.end_time,
    "updateTime": lambda job: job.update_time,
    "kind": lambda job: job.kind,
    "attempt": lambda job: job.attempt,
    "version": lambda job: job.version,
    "labels": lambda job: job.labels,
    "displayName": _display_name,
}
