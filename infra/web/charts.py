"""Charts as SVG paths in a box of 1,000 by 1,000, which pages scale to any width, and their ticks."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil, floor, log10
from typing import Final, NamedTuple

from jobledger.infra.analytics.buckets import ORIGIN

SIZE: Final = 1000
"""Width and height of the box."""
TICKS: Final = 6
"""Ticks along time, at most; the width of a phone has room for half as many."""
_STEPS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200),
        *(86_400, 2 * 86_400, 7 * 86_400, 14 * 86_400, 28 * 86_400, 91 * 86_400, 364 * 86_400),
    )
)  # fmt: skip


class Tick(NamedTuple):
    """A place along an axis, in percent, and its label."""

    place: float
    label: str


class Shape(NamedTuple):
    """One area, line, or row of bars."""

    name: str
    path: str


class Chart(NamedTuple):
    """A chart: the shapes from the back to the front, and the ticks of both axes."""

    shapes: list[Shape]
    across: list[Tick]
    up: list[Tick]


class Span(NamedTuple):
    """The time a chart shows (UTC)."""

    begin: datetime
    end: datetime

    def place(self, time: datetime) -> float:
        """Returns the place of a time, from 0 to 1; it is outside of that range if the time is not shown."""
        whole = (self.end - self.begin).total_seconds()
        return (time - self.begin).total_seconds() / whole if whole else 0.5


def stacked(span: Span, times: Sequence[datetime], layers: Mapping[str, Sequence[int]]) -> Chart:
    """Returns areas of counts on top of each other, the first at the bottom; each count holds until the next."""
    totals = [sum(counts) for counts in zip(*layers.values(), strict=True)] or [0]
    ticks, top = _counts(max(totals))
    across = [_across(_inside(span.place(time))) for time in times]
    shapes, below = [], [0] * len(times)
    for name, counts in layers.items():
        above = [under + count for under, count in zip(below, counts, strict=True)]
        shapes.append(Shape(name, _area(across, below, above, top)))
        below = above
    return Chart(shapes, time_ticks(span), ticks)


class ActivityChart(NamedTuple):
    """Live jobs as areas, and above them bars of ended jobs, each with its own ticks."""

    live: Chart
    ended: Chart


def over_time(
    span: Span,
    times: Sequence[datetime],
    live: Mapping[str, Sequence[int]],
    ended: Mapping[str, Sequence[int]],
) -> ActivityChart:
    """Makes the chart of counts in buckets, of which `times` are the edges; failures are the lowest bars."""
    held = {state: [*counts, counts[-1] if counts else 0] for state, counts in live.items()}
    areas = stacked(span, times, held) if held else Chart([], time_ticks(span), _counts(1)[0])
    ordered = sorted(ended, key=lambda state: (FIRST.get(state, len(FIRST)), state))
    totals = [sum(counts) for counts in zip(*ended.values(), strict=True)] or [0]
    ticks, top = _counts(max(totals))
    least = MIN_BAR_HEIGHT * top
    below, shapes = [0] * len(totals), list[Shape]()
    edges = [span.place(time) for time in times]
    for state in ordered:
        above = [under + count for under, count in zip(below, ended[state], strict=True)]
        shapes.append(Shape(state, _bars_path(edges, below, above, top, least)))
        below = above
    return ActivityChart(areas, Chart(shapes, [], ticks[1:]))


FIRST: Final = {"FAILED": 0, "EXPIRED": 1, "CANCELLED": 2}
"""Which bars of ended jobs are the lowest."""


def _bars_path(
    edges: Sequence[float],
    below: Sequence[int],
    above: Sequence[int],
    top: float,
    least: float,
) -> str:
    drawn = []
    for n, (low, high) in enumerate(zip(below, above, strict=True)):
        left, right = edges[n], edges[n + 1]
        if high == low or right < 0 or left > 1:
            continue
        left, right = (
            _inside(left),
            _inside(max(right - (right - left) * BAR_GAP_SHARE, left + MIN_BAR_WIDTH)),
        )
        bottom = _up(low / top)
        up = _up(max(high, least) / top)
        drawn.append(f"M{_across(left)} {bottom}V{up}H{_across(right)}V{bottom}Z")
    return "".join(drawn)


BAR_GAP_SHARE: Final = 0.15
"""The share of a bucket's width that its bar leaves free."""
MIN_BAR_WIDTH: Final = 0.0015
MIN_BAR_HEIGHT: Final = 0.06
"""The share of the height that the lowest bar has, so that a single failure is visible among hundreds."""


def lines(
    span: Span, series: Mapping[str, Sequence[tuple[datetime, float]]], top: float | None = None
) -> Chart:
    """Returns a line for each series, from 0 up to a top; by default a round number above all values."""
    most = max((value for line in series.values() for _, value in line), default=0)
    ticks, top = _counts(most) if top is None else _even(top)
    shapes = [
        Shape(name, _line([(_inside(span.place(time)), value / top) for time, value in line]))
        for name, line in series.items()
    ]
    return Chart(shapes, time_ticks(span), ticks)


def logarithmic(span: Span, series: Mapping[str, Sequence[tuple[datetime, float]]]) -> Chart:
    """Returns a line for each series, on a logarithmic scale; 0 is at the bottom."""
    values = [value for line in series.values() for _, value in line if value > 0]
    low = floor(log10(min(values, default=1)))
    high = max(ceil(log10(max(values, default=1))), low + 1)

    def up(value: float) -> float:
        return max(0.0, (log10(value) - low) / (high - low)) if value > 0 else 0.0

    ticks = [Tick(100 - 100 * (n - low) / (high - low), f"{10.0**n:,g}") for n in range(low, high + 1)]  # fmt: skip
    shapes = [
        Shape(name, _line([(_inside(span.place(time)), up(value)) for time, value in line]))
        for name, line in series.items()
    ]
    return Chart(shapes, time_ticks(span), ticks)


def curves(series: Mapping[str, Sequence[tuple[float, float]]]) -> Chart:
    """Returns a line for each series of points, with both coordinates from 0 to 1."""
    shapes = [Shape(name, _line(sorted(points))) for name, points in series.items()]
    across = [Tick(100 * share, f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1)]
    return Chart(shapes, across, _even(1)[0])


def time_ticks(span: Span) -> list[Tick]:
    """Returns round times, as many as can be read easily."""
    length = span.end - span.begin
    step = next((step for step in _STEPS if length <= step * TICKS), length / TICKS or _STEPS[0])
    first = (ORIGIN - span.begin) % step
    after = [first + step * n for n in range(TICKS + 1)]
    times = [span.begin + each for each in after if each <= length]
    return [Tick(round(100 * span.place(time), 3), _label(time, step)) for time in times]


def _label(time: datetime, step: timedelta) -> str:
    time = time.astimezone(UTC)
    if step >= timedelta(days=1):
        return f"{time:%Y-%m-%d}"
    if time.hour == time.minute == time.second == 0:
        return f"{time:%d %b}"
    return f"{time:%H:%M}" if step >= timedelta(minutes=1) else f"{time:%H:%M:%S}"


def _counts(most: float) -> tuple[list[Tick], float]:
    """Returns round numbers from 0 up, and the number at the top."""
    size = 10 ** len(str(int(most)))
    tops = [n * size / 100 for n in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)]
    top = next(top for top in tops if top >= max(most, 1))
    values = [0, top / 2, top]
    return [Tick(100 - 100 * value / top, f"{value:,g}") for value in values], top


def _even(top: float) -> tuple[list[Tick], float]:
    return [Tick(100 - 100 * share, f"{top * share:g}") for share in (0, 0.5, 1)], top


def _area(across: Sequence[str], below: Sequence[int], above: Sequence[int], top: float) -> str:
    """A closed shape between two lines; each count applies until the next one."""
    if not across:
        return ""
    parts = [f"M{across[0]} {_up(above[0] / top)}"]
    parts.extend(
        f"H{across[n]}V{_up(above[n] / top)}"
        for n in range(1, len(across))
        if above[n] != above[n - 1]
    )
    parts.append(f"H{across[-1]}V{_up(below[-1] / top)}")
    parts.extend(
        f"H{across[n]}V{_up(below[n - 1] / top)}"
        for n in range(len(across) - 1, 0, -1)
        if below[n] != below[n - 1]
    )
    parts.append(f"H{across[0]}Z")
    return "".join(parts)


def _line(points: Sequence[tuple[float, float]]) -> str:
    """A line through points; a single point is a short dash, so that it is seen."""
    if len(points) == 1:
        ((across, up),) = points
        points = [(max(0.0, across - 0.005), up), (min(1.0, across + 0.005), up)]
    places = [_point(*point) for point in points]
    return f"M{' '.join(places)}" if places else ""


def _point(across: float, up: float) -> str:
    return f"{_across(across)} {_up(up)}"


def _across(place: float) -> str:
    return f"{SIZE * place:.1f}"


def _up(share: float) -> str:
    return f"{SIZE * (1 - share):.1f}"


def _inside(place: float) -> float:
    return min(1.0, max(0.0, place))
