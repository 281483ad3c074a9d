"""Holes of pruned events are found by halves, and as all of them together say."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobledger.infra.proof.audit.damage import overlapping

BOUNDS = st.lists(st.integers(1, 60), unique=True, max_size=20).map(sorted)


@pytest.mark.slow
@given(BOUNDS, st.integers(1, 60), st.integers(0, 20))
def test_the_holes_of_a_stretch_are_those_that_share_a_position(
    bounds: list[int], first: int, length: int
) -> None:
    holes = [(low, high - 1) for low, high in [*pairwise(bounds)][::2]]
    stretch = set(range(first, first + length + 1))
    expected = [hole for hole in holes if stretch & {*range(hole[0], hole[1] + 1)}]
    assert [*overlapping(holes, first, first + length)] == expected
