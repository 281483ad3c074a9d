"""The time scale of a job's bands: linear, except that intervals in which nothing ran are shortened.

Places are percent of the bands' width.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.history.durations import elapsed
from jobledger.infra.web.charts import Tick

MAX_IDLE_SHARE: Final = 0.12
"""The share of the band that one interval in which nothing ran may take."""
TAIL_SHARE: Final = 0.02
"""The share of the band for the time after the last event."""
MIN_TICK_GAP_PERCENT: Final = 11.0
"""The least distance between two ticks, in percent."""
MIN_DATED_GAP_PERCENT: Final = 20.0
"""The least distance after a tick with a date, which is wider, in percent."""


class Break(NamedTuple):
    """An interval that is drawn shorter than it was."""

    place: float
    duration: str


class Scale:
    """The time scale of a band: linear, except that intervals in which nothing ran are shortened."""

    def __init__(self, entries: Sequence[tuple[datetime, bool]]) -> None:
        """`entries`: times in order, and whether the job ran after each."""
        self.times = [time for time, _ in entries]
        lengths = [(b - a).total_seconds() for a, b in pairwise(self.times)]
        busy = [ran for _, ran in entries[:-1]]
        ran = sum(length for length, active in zip(lengths, busy, strict=True) if active)
        longest = ran * MAX_IDLE_SHARE if ran else sum(lengths)
        cut = [
            length if active else min(length, longest)
            for length, active in zip(lengths, busy, strict=True)
        ]
        self.shortened = [was > now for was, now in zip(lengths, cut, strict=True)]
        whole = sum(cut) * (1 + TAIL_SHARE) or 1.0
        self.places = [100 * length / whole for length in accumulate(cut, initial=0.0)]
        self._known = dict(zip(self.times, self.places, strict=True))

    def place(self, time: datetime) -> float:
        """Returns the place of a time, in percent."""
        if (known := self._known.get(time)) is not None:
            return known
        n = min(max(bisect_right(self.times, time) - 1, 0), len(self.times) - 2)
        if n < 0:
            return 0.0
        begin, end = self.times[n], self.times[n + 1]
        share = (time - begin) / (end - begin) if end > begin else 0.0
        return self.places[n] + min(1.0, max(0.0, share)) * (self.places[n + 1] - self.places[n])

    def breaks(self) -> Iterator[Break]:
        """Returns the intervals that are shortened."""
        for n, short in enumerate(self.shortened):
            if short:
                middle = (self.places[n] + self.places[n + 1]) / 2
                yield Break(round(middle, 3), elapsed(self.times[n + 1] - self.times[n]))


def ticks(scale: Scale) -> list[Tick]:
    """Returns times of events that are far enough apart; the first one of a day shows the date."""
    found, day, last, gap = list[Tick](), "", 0.0, 0.0
    for time, place in zip(scale.times, scale.places, strict=True):
        if place - last >= gap:
            is_dated = f"{time:%F}" != day
            shown = f"{time:%d %b %H:%M}" if is_dated else f"{time:%H:%M:%S}"
            found.append(Tick(round(place, 3), shown))
            day, last = f"{time:%F}", place
            gap = MIN_DATED_GAP_PERCENT if is_dated else MIN_TICK_GAP_PERCENT
    return found


def breakpoints(scale: Scale) -> list[tuple[str, float]]:
    """Returns the breakpoints, without those at which the scale does not change."""
    kept: list[tuple[str, float]] = []
    pairs = list(zip(scale.times, scale.places, strict=True))
    for n, (time, place) in enumerate(pairs):
        ends = n in (0, len(pairs) - 1)
        if ends or scale.shortened[n - 1] or scale.shortened[n]:
            kept.append((str(time_text(time)), round(place, 4)))
    return kept
