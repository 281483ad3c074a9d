"""Jobs that failed in a window of time, grouped by the first lines of their messages."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from jobledger.domain.job import Job
from jobledger.domain.values.filter_text import quoted
from jobledger.domain.values.filters import Filter
from jobledger.domain.values.moments import Moment
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.history.durations import elapsed
from jobledger.infra.read.reader import Reader
from jobledger.infra.web.charts import Span
from jobledger.infra.web.fleet_page.search import filter_of
from jobledger.infra.web.fleet_page.sentence import FAILED
from jobledger.infra.web.links import FleetLink

MAX_JOBS: Final = 5_000
"""How many failed jobs are grouped: the last ones."""
MAX_GROUPS: Final = 50
EXAMPLES: Final = 3
SHARED: Final = 0.8
"""A label is named if at least this share of the group's jobs has it."""
MAX_MESSAGE: Final = 300


class Group(NamedTuple):
    """Jobs whose messages have the same first line: their number, the first and the last failure, and common labels."""

    message: str
    jobs: int
    first: datetime
    last: datetime
    ago: str
    """How long before the moment the last one failed."""
    examples: list[str]
    """The names of the last jobs."""
    shared: list[str]
    """Labels that most of the jobs have, as `team=vision (12 of 14)`."""
    address: str
    """The address of the list of these jobs."""
    share: float
    """The group's size in percent of the largest one."""


class Failures(NamedTuple):
    """The largest groups of the `jobs` that failed, of all `messages`; `cut` says that there are more jobs."""

    groups: list[Group]
    jobs: int
    cut: bool
    messages: int


def read_failures(
    reader: Reader, link: FleetLink, scope: Callable[[str], Filter], moment: Moment, span: Span
) -> Failures:
    """Reads the failures of the jobs that the link's filter selects as of the moment."""
    begin, end = (quoted(str(time_text(time))) for time in span)
    within = f"{FAILED} AND end_time >= {begin} AND end_time <= {end}"
    asked = filter_of(link.filter)
    whole = f"({asked}) AND {within}" if asked.strip() else within
    page = reader.page(scope(whole), page_size=1_000, order_by="end_time desc", as_of=moment)
    jobs = page.jobs
    while page.next_page_token and len(jobs) < MAX_JOBS:
        page = reader.page(
            scope(whole), page_size=1_000, order_by="end_time desc",
            page_token=page.next_page_token, as_of=moment,
        )  # fmt: skip
        jobs += page.jobs
    return _grouped(jobs, link, whole, moment)._replace(cut=bool(page.next_page_token))


def _grouped(jobs: list[Job], link: FleetLink, whole: str, moment: Moment) -> Failures:
    by_message: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        by_message[(job.error_message or "").partition("\n")[0]].append(job)
    largest = max(map(len, by_message.values()), default=1)
    groups = [_group(message, of, link, whole, moment, largest) for message, of in by_message.items()]  # fmt: skip
    groups.sort(key=lambda group: (-group.jobs, -group.last.timestamp()))
    return Failures(groups[:MAX_GROUPS], len(jobs), cut=False, messages=len(groups))


def _group(
    message: str, jobs: list[Job], link: FleetLink, whole: str, moment: Moment, largest: int
) -> Group:
    ends = [job.end_time for job in jobs if job.end_time is not None]
    return Group(
        message=message.strip()[:MAX_MESSAGE],
        jobs=len(jobs),
        first=min(ends),
        last=max(ends),
        ago=elapsed(moment.time - max(ends)),
        examples=[job.name for job in jobs[:EXAMPLES]],
        shared=_shared(jobs),
        address=f"/{link.query(filter=f'{whole} AND {_same(message)}', tab='jobs')}",
        share=round(100 * len(jobs) / largest, 1),
    )


def _same(line: str) -> str:
    """Returns the filter for messages with that first line."""
    if not line:
        return '(NOT error_message = * OR error_message = "" OR error_message = "\\n*")'
    text = quoted(line)
    return f'(error_message = {text} OR error_message = {text[:-1]}\\n*")'


def _shared(jobs: list[Job]) -> list[str]:
    """Returns labels that most of the jobs have; none for a single job."""
    if len(jobs) == 1:
        return []
    found = Counter(f"{key}={value}" for job in jobs for key, value in job.labels.items())
    return [
        f"{label} ({count} of {len(jobs)})"
        for label, count in found.most_common(4)
        if count >= SHARED * len(jobs)
    ]
