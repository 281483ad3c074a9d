"""The figures of a row: medians of its pairs, and how far they are spread."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any, Final

from jobledger.infra.bench.catalogue import Measure
from jobledger.infra.bench.meter import Reading
from jobledger.infra.bench.pairs import Pair

DIGITS: Final = 6
"""The significant digits of each figure in the file."""


def row_of(measure: Measure, pairs: list[Pair]) -> dict[str, Any]:
    """Computes the figures of a row.

    Args:
        measure: The row.
        pairs: Its pairs of measurements.

    Returns:
        Medians, the smallest and the largest ratio (or value, without a peer), the CPU of one
        operation, and every pair.
    """
    ours = [pair.ours for pair in pairs]
    theirs = [pair.theirs for pair in pairs if pair.theirs is not None]
    ratios = [pair.ratio for pair in pairs if pair.ratio is not None]
    judged = [each.value for each in ours] if measure.is_absolute else ratios
    figures = {
        "value": _middle(each.value for each in ours),
        "beside_value": _middle(each.value for each in theirs),
        "ratio": _middle(ratios),
        "low": _short(min(ratios or judged)),
        "high": _short(max(ratios or judged)),
        "cpu_us": _cpu(ours),
        "beside_cpu_us": _cpu(theirs),
        "met": measure.is_met(median(judged)),
        "aim_met": measure.is_met(median(judged), aim=True),
        "pairs": [_values(pair) for pair in pairs],
    }
    return {key: value for key, value in figures.items() if value is not None}


def _values(pair: Pair) -> list[float]:
    return [_short(each.value) for each in pair if each is not None]


def _cpu(readings: list[Reading]) -> dict[str, float] | None:
    """Returns the median CPU microseconds of our processes and of PostgreSQL's."""
    found = {
        "client": _middle(each.cpu for each in readings),
        "server": _middle(each.server_cpu for each in readings),
    }
    return {key: value for key, value in found.items() if value is not None} or None


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _short(median(known)) if known else None


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
