"""Pictures of statistics: lines of blocks for a terminal, drawings for files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobledger.infra.analytics.analysis import Analysis
from jobledger.infra.analytics.buckets import length_text
from jobledger.infra.analytics.pictures import dates_of_pictures, draw_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLOCKS: Final = "▁▂▃▄▅▆▇█"
WIDTH: Final = 60
"""Blocks in a line: of more buckets than that, each block shows the most of several."""
MAX_LINES: Final = 10
MAX_BARS: Final = 20
UNITS: Final = {
    "throughput": "jobs that ended",
    "queue-time": "waited until it ran",
    "run-time": "ran",
    "failures": "jobs that failed",
    "concurrency": "jobs",
    "attempts": "jobs",
    "reporters": "reports",
}
LABELS: Final = {
    "failures": ("message",),
    "attempts": ("attempts",),
    "reporters": ("actor", "worker"),
}
"""The columns that name a bar, of reports without times."""
PARTS: Final = {"reporters": "flag"}
"""The column by which a bar is divided, if it is not the state."""

Line = list[tuple[datetime, float]]


def lines_of(report: Analysis) -> dict[str, Line]:
    """Returns the values over time by name, the largest first; for groups of durations the medians."""
    if "time" not in report.columns:
        return {}
    measures = [c for c in report.columns if c not in ("time", "group", "count", "ended")]
    if report.by:
        measures = measures[:1] if report.name != "throughput" else ["ended"]
    lines: dict[str, Line] = defaultdict(list)
    for row in report.rows:
        values = dict(zip(report.columns, row, strict=True))
        for measure in measures:
            name = _shown(values["group"]) if report.by else measure.removesuffix("Seconds")
            lines[name].append((values["time"], float(values[measure])))
    lines = {name: line for name, line in lines.items() if any(value for _, value in line)}
    if report.by:
        lines = dict(sorted(lines.items(), key=lambda line: -sum(v for _, v in line[1])))
    return {name: _whole(line, report) for name, line in lines.items()}


def sparkline(values: Sequence[float]) -> str:
    """Returns a block for each value, from 0 to the largest; "" without values."""
    step = -(-len(values) // WIDTH) or 1
    most = [max(values[at : at + step]) for at in range(0, len(values), step)]
    top = max(most, default=0) or 1
    return "".join(" " if not v else BLOCKS[min(7, int(v / top * 8))] for v in most)


def draw(report: Analysis, path: Path) -> None:
    """Draws the statistic to a file; equal statistics make equal files.

    Raises InvalidFieldError for a file name without .svg or .png, for a file that cannot be
    written, and if matplotlib is not installed.
    """
    draw_picture(path, (10, 5), lambda axes: _fill(axes, report))


def _fill(axes: Axes, report: Analysis) -> None:
    bucket = report.window.bucket
    title = report.name + (f" by {report.by}" if report.by else "")
    axes.set_title(f"{title}, at position {report.moment.position:,}")
    if bucket is None:
        _bars(axes, report)
        return
    _lines(axes, report)
    per = "at each" if report.name == "concurrency" else "per"
    axes.set_xlabel(f"UTC, {per} {length_text(bucket)}")
    axes.set_xlim(_number(report.window.begin), _number(report.window.end))
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)


def _lines(axes: Axes, report: Analysis) -> None:
    dates = dates_of_pictures()
    lines = lines_of(report)
    size, unit = time_unit(lines) if report.name.endswith("-time") else (1, "")
    median = "the median " if unit and report.by else ""
    measured = f"jobs {report.state}" if report.state else UNITS[report.name]
    axes.set_ylabel(f"{median}{measured}" + (f" ({unit})" if unit else ""))
    for name, line in islice(lines.items(), MAX_LINES):
        times = [_number(time) for time, _ in line]
        marker = "o" if len(line) < 3 else ""
        axes.plot(times, [value / size for _, value in line], label=name, marker=marker)
    if len(lines) > MAX_LINES:
        axes.set_title(f"{axes.get_title()}: the largest {MAX_LINES} of {len(lines)}")
    locator = dates.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    if len(lines) > 1 or report.by:
        axes.legend()


def _bars(axes: Axes, report: Analysis) -> None:
    """Returns the bars: failures by message, attempts by number, or reporters, in stacked parts."""
    labels = LABELS[report.name]
    amount = "jobs" if report.name == "attempts" else "count"
    bars: dict[tuple[Any, ...], dict[str, int]] = defaultdict(dict)
    for row in report.rows:
        values = dict(zip(report.columns, row, strict=True))
        key = (values.get("group"), *(values[label] for label in labels))
        bars[key][values[PARTS.get(report.name, "state")]] = values[amount]
    shown = list(islice(bars.items(), MAX_BARS))[::-1]
    names = [
        " · ".join(_shown(part)[:60] for part in key[0 if report.by else 1 :]) for key, _ in shown
    ]
    left = [0] * len(shown)
    for state in sorted({state for _, parts in shown for state in parts}):
        widths = [parts.get(state, 0) for _, parts in shown]
        axes.barh(range(len(shown)), widths, left=left, label=state)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(shown)), names)
    axes.set_ylabel("error message" if report.name == "failures" else " · ".join(labels))
    begin, end = (f"{time:%Y-%m-%d %H:%M}" for time in report.window[:2])
    axes.set_xlabel(f"{UNITS[report.name]}, {begin} to {end} UTC")
    if len(bars) > MAX_BARS:
        axes.set_title(f"{axes.get_title()}: the first {MAX_BARS} of {len(bars)}")
    if shown:
        axes.legend()


def _whole(line: Line, report: Analysis) -> Line:
    """Fills buckets without events with 0; durations of none stay empty."""
    bucket = report.window.bucket
    assert bucket is not None
    if report.name != "throughput":
        return line
    fields = dict(line)
    time, whole = min(fields), []
    while time <= max(fields):
        whole.append((time, fields.get(time, 0.0)))
        time += bucket
    return whole


def time_unit(lines: Mapping[str, Iterable[tuple[Any, float]]]) -> tuple[int, str]:
    """Returns the divisor and the name of a readable unit for durations in seconds."""
    top = max((value for line in lines.values() for _, value in line), default=0)
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if top >= 3 * size:
            return size, unit
    return 1, "seconds"


def _number(time: datetime) -> float:
    return float(dates_of_pictures().date2num(time))


def _shown(value: object) -> str:
    return "none" if value is None else str(value) or "(no message)"
