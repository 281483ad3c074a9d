"""The state of all jobs in one sentence: running, queued, recently failed and late jobs, each with a link."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from jobledger.domain.values.filters import Filter
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.history.durations import elapsed
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import reading_again, translated
from jobledger.infra.read.reader import Reader

COUNT_FAILED: Final = sql.load(__package__, "count_failed")
DAY: Final = timedelta(hours=24)
LATE_AFTER: Final = timedelta(minutes=15)
"""A job that has waited longer than this to run is late."""
WAITING: Final = "(state = QUEUED OR state = PENDING)"
FAILED: Final = "(state = FAILED OR state = EXPIRED)"
MAX_QUICK_JOBS: Final = 50_000
"""The number of jobs up to which the oldest waiting ones are read before the page is sent."""
Scope = Callable[[str], Filter]
"""Limits a filter to what the caller may see."""


class Fact(NamedTuple):
    """A part of the sentence: a number, what it counts, and the filter that lists just these jobs."""

    number: int
    text: str
    state: str
    filter: str
    note: str = ""


def facts(
    reader: Reader, moment: Moment, scope: Scope, counts: Mapping[str, int], *, whole: bool
) -> list[Fact]:
    """Reads the facts as of a moment; `counts` are the jobs by state, and `whole` says that the caller may see all jobs."""
    return [*_facts(reader, moment, scope, counts, whole)]


def quick_facts(counts: Mapping[str, int]) -> list[Fact]:
    """Returns the facts that follow from the counts alone; a page of many jobs loads the others afterwards."""
    waiting = counts.get("QUEUED", 0) + counts.get("PENDING", 0)
    return [
        Fact(counts.get("RUNNING", 0), "running", "RUNNING", "state = RUNNING"),
        Fact(waiting, "queued", "QUEUED", WAITING),
        Fact(counts.get("FAILED", 0) + counts.get("EXPIRED", 0), "failed in all", "FAILED", FAILED),
    ]


def _facts(
    reader: Reader, moment: Moment, scope: Scope, counts: Mapping[str, int], whole: bool
) -> Iterator[Fact]:
    yield Fact(counts.get("RUNNING", 0), "running", "RUNNING", "state = RUNNING")
    waiting = counts.get("QUEUED", 0) + counts.get("PENDING", 0)
    oldest = _oldest(reader, moment, scope) if waiting else []
    since = oldest[0] if oldest else None
    note = "" if since is None else f"oldest {elapsed(moment.time - since)}"
    yield Fact(waiting, "queued", "QUEUED", WAITING, note)
    recent = f"{FAILED} AND end_time > {_quoted(moment, DAY)}"
    failed = 0
    if counts.get("FAILED", 0) + counts.get("EXPIRED", 0):
        failed = _failed(reader, moment, scope(recent), whole)
    yield Fact(failed, "failed in 24 h", "FAILED", recent)
    slow = f"{WAITING} AND update_time < {_quoted(moment, LATE_AFTER)}"
    late = 0
    if since is not None and moment.time - since > LATE_AFTER:
        known = sum(moment.time - time > LATE_AFTER for time in oldest)
        # If all jobs that were read are late, there may be more.
        late = known if known < len(oldest) or waiting == len(oldest) else _count(reader, moment, scope(slow))  # fmt: skip
    yield Fact(late, "late", "EXPIRED", slow, "waiting to run for over 15 min" if late else "")


def _oldest(reader: Reader, moment: Moment, scope: Scope) -> list[datetime]:
    """Reads when waiting jobs began to wait, oldest first."""
    page = reader.page(scope(WAITING), page_size=100, order_by="update_time", as_of=moment)
    return [job.update_time for job in page.jobs if job.update_time is not None]


@reading_again
def _failed(reader: Reader, moment: Moment, recent: Filter, whole: bool) -> int:
    """Counts the failed jobs from the state changes of the last day, if these are known as of exactly this moment."""
    if whole and moment.clock is Clock.OCCURRED:
        parameters = moment._asdict() | {"begin": moment.time - DAY}
        with translated(), reader.pool.connection() as connection, connection.transaction():
            connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            row = connection.execute(COUNT_FAILED, parameters, prepare=False).fetchone()
        if row is not None and row[0] is not None:
            return int(row[0])
    return _count(reader, moment, recent)


def _count(reader: Reader, moment: Moment, filter: Filter) -> int:
    return sum(reader.count("state", filter, as_of=moment).counts.values())


def _quoted(moment: Moment, before: timedelta) -> str:
    return f'"{time_text(moment.time - before)}"'
