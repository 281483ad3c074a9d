"""A number that no column holds is refused by name, by every method of Ledger that takes one."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.reports import parse_report
from jobledger.domain.values.arguments import MAX_COUNT
from jobledger.infra import Ledger

HUGE = 10**20
JOB = "projects/p/jobs/x"
REQUIRED: dict[str, Any] = {
    "name": JOB, "note": "n", "spec": {}, "labels": {}, "policy": {}, "earlier": "@0",
    "data": parse_report("Started", {}), "after": 0, "until": 0, "position": 0,
}  # fmt: skip
UNBOUNDED = ("queue_position",)
"""Numbers that are kept in an event's data, and never compared in SQL."""


def _numbers() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yields each method and argument that is a whole number, with the method's other arguments."""
    for name, method in inspect.getmembers(Ledger, callable):
        if name.startswith("_"):
            continue
        given = [*inspect.signature(method).parameters.values()][1:]
        others = {
            each.name: REQUIRED.get(each.name) for each in given if each.default is each.empty
        }
        for each in given:
            if (
                each.annotation in (int, int | None, "int", "int | None")
                and each.name not in UNBOUNDED
            ):
                yield name, each.name, others


def test_a_number_that_is_too_large_is_refused(ledger: Ledger) -> None:
    ledger.create(JOB)
    found = list(_numbers())
    assert len(found) > 30
    for method, argument, others in found:
        named = {"name": "failures"} if method == "analyze" else {}
        with pytest.raises(InvalidFieldError, match=str(HUGE)):
            _whole(getattr(ledger, method)(**others | named | {argument: HUGE}))


def test_the_largest_number_is_taken(ledger: Ledger) -> None:
    ledger.create(JOB)
    assert ledger.diff_fleet("@0", limit=MAX_COUNT).turns[0].names == [JOB]
    assert [job.name for job in ledger.scan(limit=MAX_COUNT)] == [JOB]


def _whole(answer: Any) -> None:
    """Reads an answer that is only read when it is asked for."""
    if inspect.isgenerator(answer):
        list(answer)
