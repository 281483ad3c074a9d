"""Draws a job's states over time as bands, with a lane for each attempt. Idle intervals are shortened.

Places are percent of the band's width.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from jobledger.domain.states import OCCUPIED, TERMINAL
from jobledger.domain.values.moments import Clock
from jobledger.infra.history.durations import elapsed
from jobledger.infra.web.charts import Tick
from jobledger.infra.web.job_page.history import FAILURES, Happened, Outline, state_name
from jobledger.infra.web.job_page.time_scale import Break, Scale, breakpoints, ticks

NARROW_PERCENT: Final = 0.15
"""Narrower parts are joined with their neighbors."""
MAX_LATE_LINES: Final = 20
NEAR_PERCENT: Final = 4.0
"""Lines whose ends are nearer are drawn as one."""
MAX_ATTEMPTS: Final = 100
MAX_MARKS: Final = 200
MAX_LANES: Final = 8
"""How many attempts have their own lanes: the last ones. Earlier ones share a lane."""
MIN_CLOCK_DIFFERENCE: Final = timedelta(seconds=1)
"""If all reports arrived within this time, the clocks count as equal."""
_OCCUPIED: Final = frozenset(state.name for state in OCCUPIED)
_TERMINAL: Final = frozenset(state.name for state in TERMINAL)


class Segment(NamedTuple):
    """An interval in one state, or in several that are too narrow to distinguish (`states` is how many)."""

    state: str
    left: float
    width: float
    begin: datetime
    end: datetime | None
    """None while the job is still in the state."""
    states: int

    @property
    def lasted(self) -> str:
        """How long the job was in the state; "" if it still is, or for several states."""
        if self.end is None or self.states > 1:
            return ""
        return elapsed(self.end - self.begin)

    @property
    def title(self) -> str:
        """Its tooltip."""
        if self.end is None:
            return f"{self.state} since {_shown(self.begin)}"
        lasted = elapsed(self.end - self.begin)
        state = (
            self.state if self.states == 1 else f"{self.states} states, the longest {self.state}"
        )
        return f"{state} for {lasted}, from {_shown(self.begin)}"


class Mark(NamedTuple):
    """An event on the band: its time, and the state that it led to, if any."""

    time: datetime
    state: str | None
    version: int


class Late(NamedTuple):
    """An event that was recorded late: where it took effect, and where it became known."""

    occurred: float
    recorded: float
    version: int
    type: str


class Fault(NamedTuple):
    """A failure, or a contradicted report."""

    place: float
    type: str
    version: int
    attempt: int


class Attempt(NamedTuple):
    """One attempt: its number, its last step and interval, and its state at the end."""

    number: int
    last: int
    left: float
    width: float
    state: str
    waited: str
    """How long it waited from its begin until it ran; "" if it never ran."""
    lasted: str
    """How long it lasted: from when it ran, or else from its begin, until its terminal state."""
    is_over: bool


class AttemptLane(NamedTuple):
    """The states of one attempt, or of all attempts that share a lane."""

    label: str
    segments: list[Segment]
    faults: list[Fault]


class Bands(NamedTuple):
    """The drawing of a job's states; `scale` is the breakpoints (RFC 3339 time, percent) between which time is linear."""

    clock: Clock
    """The clock of the lanes; `other` is the band of the other clock."""
    lanes: list[AttemptLane]
    other: list[Segment]
    """Empty if the clocks do not differ."""
    breaks: list[Break]
    late: list[Late]
    attempts: list[Attempt]
    scale: list[tuple[str, float]]
    ticks: list[Tick]
    is_live: bool
    """Whether the job has not ended."""


def bands(outline: Outline) -> Bands:
    """Makes the bands of a job with at least one event."""
    late = [row for row in outline.recorded if _differs(outline, row)]
    occurred = _marks(outline)
    scale = Scale(_entries(occurred, outline.recorded))
    known = _known_marks(outline)
    on_recorded = outline.clock is Clock.RECORDED
    main, other = (known, occurred) if on_recorded else (occurred, known)
    last = next((mark.state for mark in reversed(main) if mark.state), None)
    return Bands(
        clock=outline.clock,
        lanes=_lanes(outline, main, scale),
        other=_segments(other, scale) if late else [],
        breaks=list(scale.breaks()),
        late=_late(outline, late, scale),
        attempts=_attempts(outline, scale),
        scale=breakpoints(scale),
        ticks=ticks(scale),
        is_live=last is not None and last not in _TERMINAL and last != "DELETED",
    )


def _late(outline: Outline, late: Sequence[Happened], scale: Scale) -> list[Late]:
    """Returns lines from where events took effect to where they became known; of adjacent lines, only one."""
    kept: dict[tuple[int, int], Late] = {}
    for row in late:
        places = (outline.effective[row.version], row.recorded_time)
        occurred, recorded = (round(scale.place(time), 3) for time in places)
        kept.setdefault(
            (int(occurred / NEAR_PERCENT), int(recorded / NEAR_PERCENT)),
            Late(occurred, recorded, row.version, row.type),
        )
    lines = [*kept.values()]
    return lines[:: -(-len(lines) // MAX_LATE_LINES) or 1]


def _differs(outline: Outline, row: Happened) -> bool:
    """Whether an event was reported late, or took effect at another time."""
    happened = min(row.occurred_time, outline.effective[row.version])
    return abs(row.recorded_time - happened) >= MIN_CLOCK_DIFFERENCE


def _lanes(outline: Outline, marks: Sequence[Mark], scale: Scale) -> list[AttemptLane]:
    """Returns the attempts' states on the outline's clock, each until the next attempt begins."""
    numbers = attempt_numbers(outline)
    by_attempt: dict[int, list[Mark]] = {}
    count = max(numbers.values(), default=1)
    first = 1 if count <= MAX_LANES else count - MAX_LANES + 2
    for mark in marks:
        by_attempt.setdefault(max(numbers[mark.version], first - 1), []).append(mark)
    faults = _faults(outline, numbers, scale)
    ordered = sorted(by_attempt)
    lanes = []
    for n, attempt in enumerate(ordered):
        begun = next((mark.time for mark in by_attempt[ordered[n + 1]]), None) if n + 1 < len(ordered) else None  # fmt: skip
        segments = _segments(by_attempt[attempt], scale, begun)
        label = f"attempt {attempt}" if attempt >= first else f"attempts 1 to {first - 1}"
        own = [fault for fault in faults if max(fault.attempt, first - 1) == attempt]
        lanes.append(AttemptLane(label, segments, own))
    return lanes


def attempt_numbers(outline: Outline) -> dict[int, int]:
    """Returns the attempt of each version."""
    numbers, number = {}, 1
    for n, row in enumerate(outline.rows):
        number += row.attempts_begun if n else 0
        numbers[row.version] = number
    return numbers


def _faults(outline: Outline, numbers: dict[int, int], scale: Scale) -> list[Fault]:
    """Returns the places of failures and contradicted reports, without duplicates."""
    on_recorded = outline.clock is Clock.RECORDED
    found: dict[tuple[float, int], Fault] = {}
    for row in outline.rows:
        if row.type in FAILURES:
            time = row.recorded_time if on_recorded else outline.effective[row.version]
            place, attempt = round(scale.place(time), 1), numbers[row.version]
            found[place, attempt] = Fault(place, row.type, row.version, attempt)
    faults = [*found.values()]
    return faults[:: -(-len(faults) // MAX_MARKS) or 1]


def _marks(outline: Outline) -> list[Mark]:
    """Returns when each event took effect, and the state that it led to."""
    return [
        Mark(outline.effective[row.version], state_name(row.type), row.version)
        for row in outline.occurred
    ]


def _known_marks(outline: Outline) -> list[Mark]:
    """Returns when each event was recorded, and the state in which the job was known to be from then on."""
    ranks = {row.version: rank for rank, row in enumerate(outline.occurred)}
    marks, last = list[Mark](), -1
    for row in outline.recorded:
        state = state_name(row.type)
        if state is not None and ranks[row.version] > last:
            last = ranks[row.version]
            marks.append(Mark(row.recorded_time, state, row.version))
    return marks


def _entries(occurred: Sequence[Mark], recorded: Sequence[Happened]) -> list[tuple[datetime, bool]]:
    """Returns all times at which an event took effect or became known, and whether the job ran after it."""
    marks: list[tuple[datetime, str | None]] = [(mark.time, mark.state) for mark in occurred]
    marks += [(row.recorded_time, None) for row in recorded]
    entries, running = list[tuple[datetime, bool]](), False
    for time, state in sorted(marks, key=lambda mark: mark[0]):
        running = running if state is None else state in _OCCUPIED
        if entries and entries[-1][0] == time:
            entries.pop()
        entries.append((time, running))
    return entries


def _segments(marks: Sequence[Mark], scale: Scale, until: datetime | None = None) -> list[Segment]:
    """Returns the states that were entered, the last one up to a time; None is the end of the band."""
    entered = [(mark.time, mark.state) for mark in marks if mark.state is not None]
    places = [scale.place(time) for time, _ in entered]
    places.append(100.0 if until is None else scale.place(until))
    segments, first = list[Segment](), 0
    while first < len(entered):
        # Adjacent narrow segments are joined, and named for the longest of them.
        last = first
        while last + 1 < len(entered) and places[last + 1] - places[first] < NARROW_PERCENT:
            last += 1
        longest = max(range(first, last + 1), key=lambda n: places[n + 1] - places[n])
        end = entered[last + 1][0] if last + 1 < len(entered) else until
        left, width = places[first], max(0.05, places[last + 1] - places[first])
        begin, state = entered[first][0], entered[longest][1]
        segments.append(
            Segment(state, round(left, 3), round(width, 3), begin, end, last - first + 1)
        )
        first = last + 1
    return segments


def _attempts(outline: Outline, scale: Scale) -> list[Attempt]:
    ends = attempt_ends(outline)
    begins = [1, *(end + 1 for end in ends)]
    stretches = list(zip(begins, ends, strict=False))[:MAX_ATTEMPTS]
    return [
        _attempt(outline, scale, number, first, last)
        for number, (first, last) in enumerate(stretches, 1)
        if first <= last
    ]


def attempt_ends(outline: Outline) -> list[int]:
    """Returns the last step of each attempt; for an attempt without reports, that of the previous one."""
    begins = [n for n, row in enumerate(outline.rows) if n for _ in range(row.attempts_begun)]
    return [*begins, len(outline.rows)]


def _attempt(outline: Outline, scale: Scale, number: int, first: int, last: int) -> Attempt:
    rows = outline.rows[first - 1 : last]
    times = [(outline.effective[row.version], state_name(row.type)) for row in rows]
    begin = times[0][0]
    over = next(((time, state) for time, state in times if state in _TERMINAL), None)
    # Later progress and contradicted reports do not make it longer.
    end = times[-1][0] if over is None else over[0]
    ran = next((time for time, state in times if state in _OCCUPIED), None)
    states = [state for _, state in times if state is not None and state != "DELETED"]
    left = scale.place(begin)
    return Attempt(
        number=number,
        last=last,
        left=round(left, 3),
        width=round(max(0.3, scale.place(end) - left), 3),
        state=over[1] or "" if over else states[-1] if states else "",
        waited="" if ran is None else elapsed(max(ran - begin, timedelta())),
        lasted=elapsed(max(end - (ran or begin), timedelta())),
        is_over=over is not None,
    )


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
