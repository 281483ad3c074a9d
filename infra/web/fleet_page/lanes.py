"""Draws jobs as lanes in a window of time, grouped by the values of a label; a large group has one lane for its other jobs."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from jobledger.domain.job import Job
from jobledger.domain.states import TERMINAL
from jobledger.domain.values.filters import All, Filter, parse_filter
from jobledger.domain.values.moments import Moment
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.history.durations import elapsed
from jobledger.infra.read.reader import Reader
from jobledger.infra.web.charts import Span, Tick, time_ticks
from jobledger.infra.web.links import FleetLink

MAX_JOBS: Final = 1_000
"""How many jobs are drawn: those created last."""
MAX_LANES: Final = 100
MAX_IN_GROUP: Final = 12
"""How many lanes a group has; its other jobs are drawn in one more."""
MIN_BAR_PERCENT: Final = 0.15
"""The minimum width of a bar, in percent."""


class Bar(NamedTuple):
    """A part of a lane, in percent: waiting, or in the state that the job is in."""

    state: str
    left: float
    width: float
    title: str


class Lane(NamedTuple):
    """One job, or the others of its group."""

    name: str
    """"" for several jobs."""
    label: str
    state: str
    bars: list[Bar]


class LaneGroup(NamedTuple):
    """Jobs whose label has this value."""

    value: str
    jobs: int
    lanes: list[Lane]


class Lanes(NamedTuple):
    """The groups; `cut` says that only the `jobs` created last are drawn."""

    groups: list[LaneGroup]
    ticks: list[Tick]
    by: str
    keys: list[str]
    """Labels to group by."""
    jobs: int
    cut: bool


def read_lanes(
    reader: Reader, link: FleetLink, selected: Filter, moment: Moment, span: Span
) -> Lanes:
    """Reads the lanes of the selected jobs that existed in the window, as of the moment."""
    begin, end = (time_text(time) for time in span)
    there = parse_filter(f'create_time <= "{end}" AND (NOT end_time = * OR end_time >= "{begin}")')
    page = reader.page(All((there, selected)), page_size=MAX_JOBS, as_of=moment)
    keys = Counter(key for job in page.jobs for key in job.labels)
    usual = [key for key, _ in keys.most_common(8)]
    by = link.by or next(iter(usual), "")
    cut = bool(page.next_page_token)
    groups = _grouped(page.jobs, by, moment.time, span)
    return Lanes(groups, time_ticks(span), by, usual, len(page.jobs), cut)


def _grouped(jobs: Sequence[Job], by: str, at: datetime, span: Span) -> list[LaneGroup]:
    values: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        values[job.labels.get(by, "")].append(job)
    ordered = sorted(values.items(), key=lambda each: (each[0] == "", each[0]))
    room = max(3, min(MAX_IN_GROUP, MAX_LANES // max(1, len(ordered))))
    return [LaneGroup(value, len(of), _lanes(of, room, at, span)) for value, of in ordered[:MAX_LANES]]  # fmt: skip


def _lanes(jobs: list[Job], room: int, at: datetime, span: Span) -> list[Lane]:
    """Returns a lane for each job, up to MAX_IN_GROUP: failed jobs first, then the latest."""
    jobs = sorted(jobs, key=lambda job: _state(job) not in ("FAILED", "EXPIRED"))
    alone, others = (jobs, []) if len(jobs) <= room else (jobs[: room - 1], jobs[room - 1 :])
    lanes = [
        Lane(job.name, job.name.rpartition("/")[2], _state(job), _bars(job, at, span))
        for job in alone
    ]
    if others:
        bars = [bar for job in others for bar in _bars(job, at, span)[-1:]]
        lanes.append(Lane("", f"{len(others):,} more", "", bars))
    return lanes


def _bars(job: Job, at: datetime, span: Span) -> list[Bar]:
    created = job.create_time or job.start_time or at
    end = (job.end_time if job.state in TERMINAL else None) or at
    began = job.start_time
    bars = [_bar("QUEUED", created, began or end, span, f"{job.name} waited")]
    if began is not None:
        bars.append(_bar(_state(job), began, end, span, f"{job.name}: {_state(job)}"))
    elif job.state in TERMINAL:
        bars.append(_bar(_state(job), end, end, span, f"{job.name}: {_state(job)}"))
    return [bar for bar in bars if bar is not None]


def _bar(state: str, begin: datetime, end: datetime, span: Span, title: str) -> Bar | None:
    """Returns the bar of a job; None if it is outside of the window."""
    if end < span.begin or begin > span.end:
        return None
    left = max(0.0, 100 * span.place(begin))
    right = min(100.0, 100 * span.place(max(begin, end)))
    shown = max(MIN_BAR_PERCENT, right - left)
    return Bar(state, round(left, 3), round(shown, 3), f"{title}, {elapsed(end - begin)}")


def _state(job: Job) -> str:
    return "" if job.state is None else job.state.name
