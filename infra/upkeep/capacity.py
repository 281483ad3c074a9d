"""What a ledger will take, from what one of known size took: disk, memory and time."""

import json
import re
from importlib import resources
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError

FIGURES: Final[dict[str, Any]] = json.loads(
    resources.files(__package__).joinpath("measured.json").read_text(encoding="utf-8")
)
"""Measured on a ledger of simulated jobs; bytes are of tables with their indexes."""
SECONDS: Final = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_557_600}
_RATE: Final = re.compile(r"(?P<count>\d+(\.\d+)?)(?P<factor>k|M)?/(?P<unit>s|min|h|d|w|y)")
_KEEP: Final = re.compile(r"(?P<count>\d+(\.\d+)?)(?P<unit>s|min|h|d|w|y)")
MAX_EVENTS: Final = 10**15
"""The most events that are planned for: about 400 PB of disk."""
_FACTORS: Final = {None: 1, "k": 1_000, "M": 1_000_000}


class Capacity(NamedTuple):
    """What a ledger takes once it is full: bytes, and seconds of one process.

    Attributes:
        events: The number of events that are kept.
        jobs: The number of jobs that they are of.
        disk: The bytes of all tables with their indexes.
        tables: The same by table, largest first.
        indexes: The bytes of the indexes of events and intervals: memory that keeps appends and
            reads of single jobs fast.
        server: The bytes of memory that one `jobledger serve` takes.
        append_share: How much of the measured speed of appends the rate takes; above 1 is too much
            for one ledger.
        verify_seconds: How long `jobledger verify` takes.
        rebuild_seconds: How long `jobledger rebuild jobs` takes.
    """

    events: int
    jobs: int
    disk: int
    tables: dict[str, int]
    indexes: int
    server: int
    append_share: float
    verify_seconds: int
    rebuild_seconds: int


def plan(
    rate: float,
    keep_seconds: float,
    events_per_job: float | None = None,
    data_bytes: int | None = None,
) -> Capacity:
    """Computes what a ledger takes.

    Args:
        rate: Events per second, on average.
        keep_seconds: How long events are kept, in seconds.
        events_per_job: Events of one job; None is as measured.
        data_bytes: Bytes of one event's data, as canonical JSON; None is as measured.

    Returns:
        What it takes when the first events are due to be pruned.

    Raises:
        InvalidFieldError: So many events are kept that no ledger could hold them.

    Examples:
        >>> plan(500, 86_400).events
        43200000
    """
    figures = FIGURES
    if not rate * keep_seconds <= MAX_EVENTS:
        why = f"{rate * keep_seconds:.3g} events would be kept; plan for {MAX_EVENTS:.0e} at most"
        raise InvalidFieldError("keep", why)
    events = int(rate * keep_seconds)
    jobs = int(events / (events_per_job or figures["events_per_job"]))
    data = figures["data_bytes_per_event"] if data_bytes is None else data_bytes
    tables = {name: events * size for name, size in figures["bytes_per_event"].items()}
    tables |= {name: jobs * size for name, size in figures["bytes_per_job"].items()}
    tables["events"] += events * data
    return Capacity(
        events=events,
        jobs=jobs,
        disk=sum(tables.values()),
        tables=dict(sorted(tables.items(), key=lambda item: -item[1])),
        indexes=events * figures["index_bytes_per_event"],
        server=figures["server_process_bytes"],
        append_share=rate / figures["appends_per_second"],
        verify_seconds=int(events / figures["verified_per_second"]),
        rebuild_seconds=int(events / figures["rebuilt_per_second"]),
    )


def parse_rate(text: str) -> float:
    """Returns the events per second that `500/s` or `2M/d` means.

    Args:
        text: A number, k or M or neither, and a unit of time.

    Returns:
        Events per second.

    Raises:
        InvalidFieldError: The text is no rate.

    Examples:
        >>> parse_rate("30k/min")
        500.0
    """
    found = _RATE.fullmatch(text)
    if found is None:
        raise InvalidFieldError("rate", f"{text!r} is not a rate; write 500/s, 30k/min or 2M/d")
    return float(found["count"]) * _FACTORS[found["factor"]] / SECONDS[found["unit"]]


def parse_keep(text: str) -> float:
    """Returns the seconds that `90d` or `2y` means.

    Args:
        text: A number and a unit of time.

    Returns:
        Seconds.

    Raises:
        InvalidFieldError: The text is no length of time.

    Examples:
        >>> parse_keep("2d")
        172800.0
    """
    found = _KEEP.fullmatch(text)
    if found is None:
        raise InvalidFieldError(
            "keep", f"{text!r} is not a length of time; write 12h, 90d, 26w or 2y"
        )
    return float(found["count"]) * SECONDS[found["unit"]]
