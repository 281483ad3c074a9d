"""The reports page: one report as a chart and a table, with links from each number to its jobs."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final, NamedTuple, Self

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.filter_text import quoted
from jobledger.domain.values.filters import parse_filter
from jobledger.domain.values.moments import AtTime, Clock, Moment, parse_as_of
from jobledger.infra.analytics.analysis import Analysis, Asked, Question, answer
from jobledger.infra.analytics.charts import LABELS, PARTS, UNITS, lines_of, time_unit
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.postgres.connections import translated
from jobledger.infra.read.reader import Reader
from jobledger.infra.upkeep.rehearse import folded
from jobledger.infra.web.charts import Chart, Span, lines, logarithmic
from jobledger.infra.web.links import FleetLink, query_of
from jobledger.projections.catalogue import PROJECTIONS

TITLES: Final = {
    "throughput": "Throughput",
    "queue-time": "Queue time",
    "run-time": "Run time",
    "failures": "Failures by message",
    "concurrency": "Concurrency",
    "attempts": "Attempts",
    "reporters": "Reporters' clocks",
    "evaluations": "Evaluations",
}
MAX_LINES: Final = 10
MAX_MESSAGE: Final = 1_000
"""The longest error message that a link contains in full."""
SHOWN_OF_MESSAGE: Final = 200


class ReportLink(NamedTuple):
    """An address of the reports page; "" is the default."""

    ledger: str = ""
    at: str = ""
    """`TIME@POSITION`: the time of "now", and the last event that counts; "" is the latest."""
    report: str = "throughput"
    begin: str = ""
    end: str = ""
    bucket: str = ""
    by: str = ""
    filter: str = ""
    job: str = ""
    """The evaluation job of the report evaluations."""
    run: str = ""
    scale: str = ""
    """`log` for a logarithmic chart."""

    @classmethod
    def parse(cls, fields: Mapping[str, str]) -> Self:
        """Parses a query; raises InvalidFieldError for an unknown report."""
        link = cls(
            begin=fields.get("from", "").strip(),
            end=fields.get("to", "").strip(),
            **{key: fields.get(key, "").strip() for key in ("ledger", "at", "bucket", "by", "filter", "job", "run", "scale")},
        )  # fmt: skip
        wanted = fields.get("report") or link.report
        if wanted not in TITLES:
            raise InvalidFieldError("report", f"{wanted[:60]!r} is not one of {', '.join(TITLES)}")
        if link.scale not in ("", "log"):
            raise InvalidFieldError(
                "scale", f"{link.scale[:20]!r} is not a scale; the only one is log"
            )
        return link._replace(report=wanted)

    def query(self, **changed: str) -> str:
        """Returns the address's query with changes."""
        fields = self._replace(**changed)._asdict()
        return query_of({"from": fields.pop("begin"), "to": fields.pop("end")} | fields)

    def question(self, project: str | None) -> Question:
        """Returns the question about the jobs of one project (None: all); raises InvalidFieldError."""
        # Parsed separately, so that it cannot close the parentheses that limit it.
        parse_filter(self.filter)
        asked = f"({self.filter})" if self.filter.strip() else ""
        limit = "" if project is None else f"project = {quoted(project)}"
        whole = " AND ".join(term for term in (limit, asked) if term)
        begin, end, bucket = (value or None for value in (self.begin, self.end, self.bucket))
        return Question(self.report, self.by, whole, begin, end, bucket)


class Hit(NamedTuple):
    """A place in the chart that links to jobs: its left edge and its width, in percent."""

    left: float
    width: float
    title: str
    address: str


class Bar(NamedTuple):
    """A bar of a report without time: its parts by state, in percent of the longest bar."""

    label: str
    parts: list[tuple[str, float, float]]
    jobs: int
    address: str


class ReportPage(NamedTuple):
    """One report as a chart and a table."""

    link: ReportLink
    """The link, pinned to the moment of the report."""
    report: Analysis
    chart: Chart | None
    hits: list[Hit]
    bars: list[Bar]
    unit: str
    rows: list[tuple[str, list[Any]]]
    """The rows, each with the address of its jobs."""
    summary: str
    """The report in one sentence, if it counts ended jobs; otherwise ""."""
    data: dict[str, Any]
    """The chart's data for the script: times in seconds since 1970, each line's values, and hits."""


def read_report(reader: Reader, link: ReportLink, project: str | None) -> ReportPage:
    """Reads the report on the jobs of one project (None: all); raises InvalidFieldError for an invalid question, or a moment in the future."""
    found = _report(reader, link, link.question(project))
    pinned = link._replace(ledger=reader.name, at=str(found.moment))
    rows = [(_jobs(pinned, found, row), list(row)) for row in found.rows]
    if found.window.bucket is None:
        return ReportPage(
            pinned, found, None, [], _bars(found, rows), UNITS[found.name], rows, "", {}
        )
    span = Span(found.window.begin, found.window.end)
    shown = dict(islice(lines_of(found).items(), MAX_LINES))
    hits = list(_hits(found, span, rows))
    size, unit = _unit(found, shown)
    scaled = {name: [(at, value / size) for at, value in line] for name, line in shown.items()}
    drawn = logarithmic(span, scaled) if link.scale else lines(span, scaled)
    data = _data(span, scaled, hits) | {"log": bool(link.scale)}
    return ReportPage(pinned, found, drawn, hits, [], unit, rows, _summary(found), data)


def _data(
    span: Span, series: Mapping[str, list[tuple[datetime, float]]], hits: Iterable[Hit]
) -> dict[str, Any]:
    times = sorted({time for line in series.values() for time, _ in line})
    return {
        "times": [time.timestamp() for time in times],
        "lines": {name: [*map(dict(line).get, times)] for name, line in series.items()},
        "begin": span.begin.timestamp(),
        "end": span.end.timestamp(),
        "hits": [(hit.left, hit.width, hit.address) for hit in hits],
    }


def _summary(found: Analysis) -> str:
    if found.name != "throughput":
        return ""
    sums = {
        column: sum(row[n] for row in found.rows)
        for n, column in enumerate(found.columns)
        if column not in ("time", "group")
    }
    ended = sums.pop("ended", 0)
    parts = ", ".join(f"{count:,} {_worded(name)}" for name, count in sums.items() if count)
    return f"{ended:,} {'job' if ended == 1 else 'jobs'} ended: {parts}." if parts else ""


def _worded(name: str) -> str:
    return {"partiallySucceeded": "partly succeeded"}.get(name, name)


def _report(reader: Reader, link: ReportLink, asked: Question) -> Analysis:
    """Reads the report as of the link's moment, from the events up to its position."""
    parsed = asked.parsed()
    moment = read_moment(reader, link)
    if moment.position == reader.follow(reader.size()):
        return _live(reader, asked, parsed, moment)
    with reader.connection() as connection, folded(connection, PROJECTIONS, moment.position):
        return answer(connection, asked, parsed, moment)


def _live(reader: Reader, asked: Question, parsed: Asked, moment: Moment) -> Analysis:
    with translated(), reader.connection() as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL work_mem = '64MB'")
        return answer(connection, asked, parsed, moment)


def read_moment(reader: Reader, link: ReportLink) -> Moment:
    """Returns the moment of the link: its time and position; raises InvalidFieldError."""
    if not link.at:
        return reader.moment("now", Clock.OCCURRED)
    meant = parse_as_of(link.at, None, reader.moment(None).time)
    if not isinstance(meant, AtTime) or meant.known is None:
        why = f"{link.at[:60]!r} is not TIME@POSITION, as links of reports are"
        raise InvalidFieldError("at", why)
    return reader.moment(meant)


def _unit(
    found: Analysis, shown: Mapping[str, Iterable[tuple[datetime, float]]]
) -> tuple[int, str]:
    """Returns the divisor of durations, and the unit of the chart's numbers."""
    if not found.name.endswith("-time"):
        return 1, f"jobs {found.state}" if found.state else UNITS[found.name]
    return time_unit(shown)


def _hits(found: Analysis, span: Span, rows: list[tuple[str, list[Any]]]) -> Iterable[Hit]:
    """Returns one hit for each time of the report's rows."""
    bucket = found.window.bucket or timedelta()
    totals: dict[datetime, tuple[str, list[str]]] = {}
    for address, row in rows:
        values = dict(zip(found.columns, row, strict=True))
        numbers = [
            f"{name} {_number(value)}"
            for name, value in values.items()
            if name not in ("time", "group")
        ]
        _, texts = totals.setdefault(values["time"], (address, []))
        texts.append(" ".join([str(values.get("group", "")), ", ".join(numbers)]).strip())
    for time, (address, texts) in totals.items():
        left = max(0.0, 100 * span.place(time))
        right = min(100.0, 100 * span.place(time + bucket))
        title = f"{time:%Y-%m-%d %H:%M:%S} UTC: {'; '.join(texts)}"
        yield Hit(round(left, 3), round(max(0.2, right - left), 3), title, address)


def _bars(found: Analysis, rows: list[tuple[str, list[Any]]]) -> list[Bar]:
    amount = "jobs" if found.name == "attempts" else "count"
    gathered: dict[tuple[str, ...], list[tuple[str, int, str]]] = {}
    for address, row in rows:
        values = dict(zip(found.columns, row, strict=True))
        named = ("group", *LABELS[found.name])
        key = tuple(str(values[part] if values[part] is not None else "") for part in named if part in values)  # fmt: skip
        part = values[PARTS.get(found.name, "state")]
        gathered.setdefault(key, []).append((part, values[amount], address))
    longest = max((sum(n for _, n, _ in parts) for parts in gathered.values()), default=0) or 1
    return [_bar(" · ".join(key), parts, longest) for key, parts in gathered.items()]


def _bar(label: str, parts: list[tuple[str, int, str]], longest: int) -> Bar:
    drawn, left = [], 0.0
    for state, count, _ in parts:
        width = 100 * count / longest
        drawn.append((state, round(left, 3), round(max(width, 0.2), 3)))
        left += width
    return Bar(label or "(no message)", drawn, sum(count for _, count, _ in parts), parts[0][2])


def _jobs(link: ReportLink, found: Analysis, row: tuple[Any, ...]) -> str:
    """Returns the address of the fleet page with the jobs that a row counts, as closely as a filter can select them."""
    values = dict(zip(found.columns, row, strict=True))
    terms = [link.filter and f"({link.filter})", *_group(found, values)]
    at = link.at
    match found.name:
        case "throughput" | "run-time":
            terms += _within("end_time", values["time"], found)
        case "queue-time":
            terms += _within("start_time", values["time"], found)
        case "concurrency":
            at = f"{time_text(values['time'])}@{found.moment.position}"
            terms.append(f"state = {found.state}" if found.state else "")
        case "failures":
            terms += [f"state = {values['state']}", *_of_message(values["message"])]
        case "attempts":
            terms += [f"attempt = {values['attempts']}", f"state = {values['state']}"]
    asked = " AND ".join(term for term in terms if term)
    return f"/{FleetLink(link.ledger, at, Clock.OCCURRED, filter=asked).query()}"


def _group(found: Analysis, values: Mapping[str, Any]) -> list[str]:
    if not found.by or "group" not in values:
        return []
    if values["group"] is None:
        return [f"NOT {found.by} = *"]
    return [f"{found.by} = {quoted(str(values['group']))}"]


def _within(field: str, time: datetime, found: Analysis) -> list[str]:
    assert found.window.bucket is not None
    end = time + found.window.bucket
    return [
        f"{field} >= {quoted(str(time_text(time)))}",
        f"{field} < {quoted(str(time_text(end)))}",
    ]


def _of_message(message: str) -> list[str]:
    """Returns the filter for jobs with that error message; a long message is matched by its beginning and digest."""
    if not message:
        return ['(error_message = "" OR NOT error_message = *)']
    if len(message) <= MAX_MESSAGE:
        return [f"error_message = {quoted(message)}"]
    digest = hashlib.sha256(message.encode()).hexdigest()
    begin = quoted(message[:SHOWN_OF_MESSAGE])
    return [f'error_message = {begin[:-1]}*"', f"error_message.sha256 = {digest}"]


def _number(value: Any) -> str:
    return f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
