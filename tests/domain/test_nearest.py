"""Suggestions for unknown names."""

from __future__ import annotations

import pytest
from jobledger.domain.values.nearest import did_you_mean, nearest

KNOWN = [
    "systemd-journal",
    "slurm-sacct",
    "github-actions-jobs",
    "github-actions-runs",
    "Succeeded",
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("slurm-sact", "slurm-sacct"),
        ("succeded", "Succeeded"),
        ("systemd", "systemd-journal"),
        ("SLURM", "slurm-sacct"),
        ("github-actions-job", "github-actions-jobs"),  # The more similar one of two.
        ("github", None),  # Two begin so.
        ("", None),
        ("nothing", None),
    ],
)
def test_a_similar_name_or_the_one_that_begins_so_is_meant(name: str, expected: str | None) -> None:
    assert nearest(name, KNOWN) == expected


def test_all_names_are_given_if_none_is_meant() -> None:
    assert did_you_mean("systemd", KNOWN) == "; did you mean systemd-journal?"
    assert did_you_mean("x", ["a", "b"]) == "; it is one of a, b"
    assert did_you_mean("x", []) == ""
