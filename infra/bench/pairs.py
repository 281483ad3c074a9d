"""The two sides of a row, and the pairs of their runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jobledger.infra.bench.meter import Reading

Side = Callable[[], Reading]


class Sides(NamedTuple):
    """Our side and the peer's; None if a row has no peer."""

    ours: Side
    theirs: Side | None = None


class Pair(NamedTuple):
    """One run of each side, one after the other."""

    ours: Reading
    theirs: Reading | None

    @property
    def ratio(self) -> float | None:
        """Ours divided by the other."""
        return None if self.theirs is None else self.ours.value / self.theirs.value


def run_pairs(sides: Sides, count: int) -> list[Pair]:
    """Runs pairs, one side after the other, so that disturbances affect both sides."""
    return [
        Pair(sides.ours(), None if sides.theirs is None else sides.theirs()) for _ in range(count)
    ]
