"""The fleet in one sentence: how many jobs run, wait, failed lately and wait for too long, each a link."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from jobledger.domain.job import Job
from jobledger.domain.values.filters import Filter
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.history.explain import elapsed
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.read.reader import Reader

COUNT_FAILED: Final = sql.load(__package__, "count_failed")
DAY: Final = timedelta(hours=24)
LATE: Final = timedelta(minutes=15)
"""A job that has waited for longer than that to run is late."""
WAITING: Final = "(state = QUEUED OR state = PENDING)"
FAILED: Final = "(state = FAILED OR state = EXPIRED)"
Scope = Callable[[str], Filter]
"""Limits a filter to what the caller may see."""


class Fact(NamedTuple):
    """A part of the sentence: a number, what it counts, and the filter that lists just these jobs."""

    number: int
    text: str
    state: str
    filter: str
    note: str = ""


def facts(reader: Reader, moment: Moment, scope: Scope, counts: Mapping[str, int], *, whole: bool) -> list[Fact]:  # fmt: skip
    """As of the moment; `counts` are of the states then, and `whole` says that all jobs may be seen."""
    return [*_facts(reader, moment, scope, counts, whole)]


def _facts(
    reader: Reader, moment: Moment, scope: Scope, counts: Mapping[str, int], whole: bool
) -> Iterator[Fact]:
    yield Fact(counts.get("RUNNING", 0), "running", "RUNNING", "state = RUNNING")
    waiting = counts.get("QUEUED", 0) + counts.get("PENDING", 0)
    oldest = _oldest(reader, moment, scope) if waiting else None
    since = None if oldest is None or oldest.update_time is None else oldest.update_time
    note = "" if since is None else f"oldest {elapsed(moment.time - since)}"
    yield Fact(waiting, "queued", "QUEUED", WAITING, note)
    recent = f"{FAILED} AND end_time > {_quoted(moment, DAY)}"
    failed = 0
    if counts.get("FAILED", 0) + counts.get("EXPIRED", 0):
        failed = _failed(reader, moment, scope(recent), whole)
    yield Fact(failed, "failed in 24 h", "FAILED", recent)
    slow = f"{WAITING} AND update_time < {_quoted(moment, LATE)}"
    late = 0
    if since is not None and moment.time - since > LATE:
        late = _count(reader, moment, scope(slow))
    yield Fact(late, "late", "EXPIRED", slow, "waiting to run for over 15 min" if late else "")


def _oldest(reader: Reader, moment: Moment, scope: Scope) -> Job | None:
    page = reader.page(scope(WAITING), page_size=1, order_by="update_time", as_of=moment)
    return page.jobs[0] if page.jobs else None


def _failed(reader: Reader, moment: Moment, recent: Filter, whole: bool) -> int:
    """From the state changes of the last day where these are known to be of just this moment."""
    if whole and moment.clock is Clock.OCCURRED:
        with translated(), reader.connection() as connection:
            said = moment._asdict() | {"begin": moment.time - DAY}
            row = connection.execute(COUNT_FAILED, said).fetchone()
        if row is not None and row[0] is not None:
            return int(row[0])
    return _count(reader, moment, recent)


def _count(reader: Reader, moment: Moment, filter: Filter) -> int:
    return sum(reader.count("state", filter, as_of=moment).counts.values())


def _quoted(moment: Moment, before: timedelta) -> str:
    return f'"{time_text(moment.time - before)}"'
