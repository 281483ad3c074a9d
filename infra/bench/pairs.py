"""The two sides of a row, and the pairs of their runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jobledger.infra.bench.meter import Reading

Side = Callable[[], Reading]


class Sides(NamedTuple):
    """Ours, and what stands beside it; None if a figure stands for itself."""

    ours: Side
    theirs: Side | None = None


class Pair(NamedTuple):
    """Two runs, one after the other."""

    ours: Reading
    theirs: Reading | None

    @property
    def ratio(self) -> float | None:
        """Ours divided by the other."""
        return None if self.theirs is None else self.ours.value / self.theirs.value


def run_pairs(sides: Sides, count: int) -> list[Pair]:
    """So many pairs, one side after the other: what slows one down slows down its neighbour, too."""
    return [
        Pair(sides.ours(), None if sides.theirs is None else sides.theirs()) for _ in range(count)
    ]
