"""Addresses of pages: the ledger, the moment, the clock, and what is shown.

An address with a pinned `at` always shows the same; `pinned` makes such an address.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote, quote_plus

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import LIVE, JobState
from jobledger.domain.values.moments import Clock, Moment, parse_clock
from jobledger.domain.values.names import EARLIEST, parse_text
from jobledger.domain.values.times import parse_iso
from jobledger.infra.eventstore.json_view import time_text

COLUMNS: Final = {
    "state": "State",
    "when": "When",
    "duration": "Duration",
    "createTime": "Created",
    "startTime": "Started",
    "endTime": "Ended",
    "updateTime": "Updated",
    "kind": "Kind",
    "attempt": "Attempt",
    "version": "Version",
    "errorMessage": "Error",
    "labels": "Labels",
    "displayName": "Display name",
}
"""Columns of a list of jobs other than the name."""
LABEL: Final = "labels."
"""The prefix of a column for one label."""
DEFAULT_COLUMNS: Final = ("state", "when", "duration", "attempt", "errorMessage")
SIZES: Final = (25, 50, 100, 200)
WINDOWS: Final = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "all": None,
}
"""Lengths of time that a chart may show; None is all of it."""
TABS: Final = {"jobs": "Jobs", "timeline": "Timeline", "failures": "Failures"}
ORDERS: Final = {
    "name": "name",
    "state": "state",
    "when": "update_time desc",
    "createTime": "create_time desc",
    "startTime": "start_time desc",
    "endTime": "end_time desc",
    "updateTime": "update_time desc",
    "kind": "kind",
    "attempt": "attempt desc",
    "version": "version desc",
    "errorMessage": "error_message",
}
"""The order of the list after a click on a column's heading."""
MAX_SKIP: Final = 10_000_000
BEFORE_ALL: Final = EARLIEST - timedelta(days=1)
"""A time before all events; a link with an earlier one means this, so that a window may begin before it."""
AFTER_ALL: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""A time after all events, far enough from the last of all times for the edges of a chart."""
MAX_KEPT_CHARACTERS: Final = 256
"""The longest value whose quoted form is cached, because values from users may be long."""
_CLOCK_TIME: Final = re.compile(r"\d{1,2}:\d\d(?::\d\d)?")
_POSITION: Final = re.compile(r"[0-9]{1,18}")
STATES: Final = tuple(state.name for state in sorted(JobState))
DEFAULT_STATES: Final = tuple(state.name for state in sorted(LIVE))
"""States of the chart by default: the live ones, as the number of ended jobs only grows."""


class FleetLink(NamedTuple):
    """An address of the fleet page; "" is the default."""

    ledger: str = ""
    at: str = ""
    """A moment for parse_as_of; "" is the latest."""
    clock: Clock = Clock.OCCURRED
    begin: str = ""
    end: str = ""
    """The time that the chart shows, RFC 3339."""
    filter: str = ""
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    order: str = ""
    size: int = 25
    page: str = ""
    states: tuple[str, ...] = DEFAULT_STATES
    project: str = ""
    """The project; "" is all projects."""
    window: str = ""
    """A key of WINDOWS: the length of time that the chart shows, unless both ends are given."""
    tab: str = "jobs"
    skip: int = 0
    """How many jobs of the list to skip."""
    by: str = ""
    """The label whose values are the groups of the timeline."""

    @classmethod
    def parse(cls, fields: Mapping[str, str]) -> Self:
        """Parses a query; raises InvalidFieldError."""
        return cls(
            ledger=fields.get("ledger", ""),
            at=fields.get("at", "").strip(),
            clock=parse_clock(fields.get("clock") or None) or Clock.OCCURRED,
            begin=_time("from", fields.get("from", "")),
            end=_time("to", fields.get("to", "")),
            filter=fields.get("filter", ""),
            columns=_columns(fields.get("columns")),
            order=fields.get("order", ""),
            size=_size(fields.get("size", "")),
            page=fields.get("page", ""),
            states=_some("states", fields.get("states"), STATES, DEFAULT_STATES),
            project=parse_text("project", fields.get("project") or None) or "",
            window=_one("window", fields.get("window", ""), ("", *WINDOWS)),
            tab=_one("tab", fields.get("tab") or "jobs", tuple(TABS)),
            skip=_number("skip", fields.get("skip", "")),
            by=fields.get("by", "").strip(),
        )

    def pinned(self, ledger: str, moment: Moment) -> Self:
        """Returns the same link, pinned to this ledger and moment."""
        at = str(moment)
        if moment.clock is Clock.RECORDED and not self.at.startswith("@"):
            at = str(time_text(moment.time))  # No event will ever be recorded by then.
        return self._replace(ledger=ledger, at=at, clock=moment.clock)

    def query(self, **changed: Any) -> str:
        """Returns the address's query with changes; a change of anything but the page goes back to the first page."""
        paged = changed.keys() & {"page", "skip"}
        link = self._replace(page="", skip=0) if changed and not paged else self
        link = link._replace(**changed)
        fields = {
            "ledger": link.ledger,
            "at": link.at,
            "clock": link.clock.value,
            "from": link.begin,
            "to": link.end,
            "filter": link.filter,
            "columns": "" if link.columns == DEFAULT_COLUMNS else ",".join(link.columns) or "none",
            "order": link.order,
            "size": "" if link.size == SIZES[0] else str(link.size),
            "states": "" if link.states == DEFAULT_STATES else ",".join(link.states) or "none",
            "page": link.page,
            "project": link.project,
            "window": link.window,
            "tab": "" if link.tab == "jobs" else link.tab,
            "skip": str(link.skip or ""),
            "by": link.by,
        }
        return query_of(fields)


class JobLink(NamedTuple):
    """An address of a job's page; "" is the default."""

    ledger: str = ""
    at: str = ""
    """A moment for parse_as_of; "" is the latest."""
    clock: Clock = Clock.OCCURRED
    until: int | None = None
    """The position up to which the history is shown; None shows all of it."""

    @classmethod
    def parse(cls, fields: Mapping[str, str]) -> Self:
        """Parses a query; raises InvalidFieldError."""
        at = fields.get("at", "").strip()
        until = fields.get("until", "").removeprefix("@")
        if until and not _POSITION.fullmatch(until):
            raise InvalidFieldError("until", f"{until[:40]!r} is not a position, such as 4711")
        clock = parse_clock(fields.get("clock") or None) or Clock.OCCURRED
        _, _, known = at.partition("@")
        if not until and clock is Clock.OCCURRED and _POSITION.fullmatch(known):
            until = known  # The fleet's links have the position in the moment.
        return cls(fields.get("ledger", ""), at, clock, int(until) if until else None)


def most_recent(text: str, now: datetime) -> str:
    """Returns `03:12` as the most recent moment with that time of day (UTC), and other texts unchanged."""
    if not _CLOCK_TIME.fullmatch(text):
        return text
    try:
        clock_time = time.fromisoformat(text.zfill(len(text) + (text.index(":") == 1)))
    except ValueError:
        return text
    at = datetime.combine(now.date(), clock_time, UTC)
    return str(time_text(at if at <= now else at - timedelta(days=1)))


def job_address(name: str, **query: str) -> str:
    """Returns the address of a job's page."""
    return f"/jobs/{quote(name)}{query_of(query)}"


def query_of(fields: Mapping[str, str]) -> str:
    """Returns the query of an address, without empty values."""
    query = "&".join([f"{key}={_quoted(value)}" for key, value in fields.items() if value])
    return f"?{query}" if query else ""


def _quoted(value: str) -> str:
    """Returns the value, quoted. Short values are cached, because a page has many addresses with the same ones."""
    return _quoted_short(value) if len(value) <= MAX_KEPT_CHARACTERS else quote_plus(value)


_quoted_short: Final = lru_cache(1_000)(quote_plus)


def check_ledger(name: str, ours: str) -> None:
    """Raises InvalidFieldError for a link to another ledger."""
    if name and name != ours:
        why = f"the link is of the ledger {name[:80]!r}, and this server shows {ours!r}"
        raise InvalidFieldError("ledger", why)


def parse_instant(field: str, text: str) -> datetime:
    """Parses an RFC 3339 time; raises InvalidFieldError."""
    try:
        time = parse_iso(text)
    except ValueError:
        raise InvalidFieldError(
            field, f"{text[:60]!r} is not an RFC 3339 time, such as 2026-12-31T23:59:59Z"
        ) from None
    if time.tzinfo is None:
        raise InvalidFieldError(field, f"{text[:60]!r} has no time zone; add Z or an offset")
    return time


def _time(field: str, text: str) -> str:
    if not text:
        return ""
    return str(time_text(min(max(parse_instant(field, text), BEFORE_ALL), AFTER_ALL)))


def _some(
    field: str, text: str | None, known: tuple[str, ...], usual: tuple[str, ...]
) -> tuple[str, ...]:
    """Returns the named values, in their default order; `none` names none."""
    if not text:
        return usual
    named = [] if text == "none" else text.split(",")
    for name in named:
        if name not in known:
            raise InvalidFieldError(field, f"{name[:60]!r} is not one of {', '.join(known)}")
    return tuple(name for name in known if name in named)


def _columns(text: str | None) -> tuple[str, ...]:
    """Returns the named columns, and after them those of labels, in the given order."""
    named = (text or "").split(",")
    labels = [name for name in named if name.startswith(LABEL) and len(name) > len(LABEL)]
    others = ",".join(name for name in named if name not in labels)
    known = _some(
        "columns", others or ("none" if labels else None), tuple(COLUMNS), DEFAULT_COLUMNS
    )
    return (*known, *dict.fromkeys(labels))


def _one(field: str, text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise InvalidFieldError(
            field, f"{text[:60]!r} is not one of {', '.join(filter(None, known))}"
        )
    return text


def _number(field: str, text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and int(text[:9]) <= MAX_SKIP):
        raise InvalidFieldError(field, f"{text[:20]!r} is not a number from 0 to {MAX_SKIP:,}")
    return int(text[:9] or 0)


def _size(text: str) -> int:
    if text in ("", *map(str, SIZES)):
        return int(text or SIZES[0])
    raise InvalidFieldError("size", f"{text[:20]!r} is not one of {', '.join(map(str, SIZES))}")
