"""The data of a job's page, from a server or in a file."""

from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from jobledger.domain.events import EVENT_TYPES
from jobledger.domain.job import Job
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.history.durations import elapsed
from jobledger.infra.history.reporter_clocks import (
    TOLERANCE,
    Reported,
    ReporterClock,
    reporter_clocks,
)
from jobledger.infra.history.timeline import steps_of
from jobledger.infra.read.reader import Reader
from jobledger.infra.web.job_page import history
from jobledger.infra.web.job_page.bands import Bands, attempt_ends, bands
from jobledger.infra.web.job_page.log_links import LogLink, log_links
from jobledger.infra.web.links import JobLink


class JobPage(NamedTuple):
    """The bands to draw, and the initial data of the page's script."""

    name: str
    bands: Bands
    data: JsonObject
    deleted: bool
    clocks: list[str]
    """Notes on clocks of the job's actors that differ from the server's by a second or more."""
    links: list[LogLink]


def read_page(reader: Reader, name: str, link: JobLink) -> JobPage:
    """Reads a page with the window of steps around the link's moment; raises JobNotFoundError and InvalidFieldError."""
    outline = history.read_outline(reader, name, link.clock, link.until)
    cursor = history.step_meant(reader, outline, link.at)
    number = max(0, cursor - 1) // history.WINDOW
    window = history.read_window(reader, outline, number)
    page = _page(reader.name, outline, cursor, {str(number): window})
    times = [outline.effective[row.version] for row in outline.rows]
    links = log_links(name, times[0], times[-1])
    return page._replace(data=reader.decrypt(page.data), links=links)


def page_of(ledger: str, outline: history.Outline, events: Iterable[RecordedEvent]) -> JobPage:
    """Makes a page with all windows of steps from the events of the outline."""
    by_version = {event.version: event for event in events}
    ordered = [by_version[row.version] for row in outline.rows]
    steps = list(steps_of(Job(name=outline.name), ordered, outline.clock))
    windows = {
        str(n): history.window_of(
            steps[n * history.WINDOW : (n + 1) * history.WINDOW], n * history.WINDOW
        )
        for n in range(-(-len(steps) // history.WINDOW))
    }
    return _page(ledger, outline, len(steps), windows)


def _page(
    ledger: str, outline: history.Outline, cursor: int, windows: dict[str, JsonObject]
) -> JobPage:
    drawn = bands(outline)
    data = {
        "ledger": ledger,
        "name": outline.name,
        "clock": outline.clock.value,
        "until": outline.until,
        "total": len(outline.rows),
        "cursor": cursor,
        "size": history.WINDOW,
        "windows": windows,
        "scale": drawn.scale,
        "attempts": attempt_ends(outline),
        "starts": [step for step, row in enumerate(outline.rows, 1) if row.type == "Started"],
        "offline": False,
        "types": sorted({row.type for row in outline.rows}),
        "actors": sorted({row.actor or "" for row in outline.rows}),
        "eventTypes": sorted(EVENT_TYPES),
        "contradicted": sum(row.type == "Contradicted" for row in outline.rows),
    }
    deleted = any(row.type == "Deleted" for row in outline.rows)
    return JobPage(outline.name, drawn, data, deleted, _clocks(outline), [])


def _clocks(outline: history.Outline) -> list[str]:
    reported = [
        Reported(row.actor or "", row.occurred_time, row.recorded_time) for row in outline.recorded
    ]
    return [
        _sentence(clock)
        for clock in reporter_clocks(reported)
        if clock.flag or abs(clock.offset) >= TOLERANCE
    ]


def _sentence(clock: ReporterClock) -> str:
    order = "before" if clock.offset < timedelta() else "after"
    clauses = [f"mostly recorded {elapsed(clock.offset)} {order} it occurred"]
    if clock.ahead >= TOLERANCE:
        clauses.append(f"the clock runs {elapsed(clock.ahead)} ahead")
    if clock.back >= TOLERANCE:
        clauses.append(f"it jumped back by {elapsed(clock.back)}")
    return f"{clock.reporter}: {'; '.join(clauses)}"
