"""Plain reports: what is worked out without their data's class is what `observe` decides and the fold makes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from jobledger.domain.errors import LedgerError
from jobledger.domain.events import EVENT_TYPES, Event
from jobledger.domain.job import Job, absent, evolve, job_with, recorded
from jobledger.domain.job.plain import add_plain, is_plain, stored_fields
from jobledger.domain.observing import introduce, observe
from jobledger.domain.reports import parse_report
from jobledger.domain.values import canonical
from jobledger.infra.eventstore.writes.judge import Judge
from jobledger.infra.sources.openlineage.history import observe_run

START = datetime(2026, 5, 1, tzinfo=UTC)
NAME = "projects/p/jobs/a"
TYPES = (
    "Queued", "Preparing", "Started", "Paused", "Resumed", "Succeeded", "PartiallySucceeded", "Failed",
    "ProgressReported", "Retried", "Cancelled", "Expired", "Commented", "Deleted",
)  # fmt: skip
SAID: tuple[dict[str, Any], ...] = (
    {}, {"worker": "node-7"}, {"runId": "a"}, {"runId": "b", "n": 2.5}, {"attempt": 2}, {"reason": "said so"},
    {"output": {"x": 1}}, {"inferred": True}, {"error": "x"}, {"output": {}, "runId": "a"}, {"output": None},
    {"output": {"inputs": ["x"]}, "runId": "a"}, {"output": {"inputs": ["y"]}, "runId": "a"},
)  # fmt: skip
CREATED: tuple[dict[str, Any], ...] = (
    {}, {"labels": {"team": "vision"}, "spec": {}}, {"spec": {"b": 1, "a": [None]}, "parents": ["x"], "root": "x"},
    {"labels": {"Not Valid": "x"}}, {"triggeredBy": ""}, {"parents": None}, {"spec": None}, {"more": 1},
)  # fmt: skip


def decided(
    type_: str, entries: dict[str, Any], job: Job, at: datetime, judge: Judge
) -> Job | None:
    """The job once the report was recorded as it is; None if it is not, or nobody can tell without the past."""
    report = parse_report(type_, entries)
    try:
        facts = (introduce if type_ == "Created" else judge)(report, job, at=at, past=None)
        if facts != (report,):
            return None
        return evolve(job, Event(NAME, job.version + 1, report, at))
    except LedgerError:
        return None


@pytest.mark.slow
@pytest.mark.parametrize("judge", [observe, observe_run])
def test_a_plain_report_is_decided_and_folded_as_any_other(judge: Judge) -> None:
    met = sum((history(Random(seed), judge) for seed in range(60)), Counter[bool]())
    assert min(met[True], met[False]) > 100


def history(random: Random, judge: Judge) -> Counter[bool]:
    """Checks plain reports among others on one job; returns how many are recorded as they are, and how many not."""
    job, past, met = absent(NAME), list[Event](), Counter[bool]()
    for number in range(60):
        type_ = "Created" if not past or random.random() < 0.05 else random.choice(TYPES)
        expected = random.choice(CREATED if type_ == "Created" else SAID)
        if judge is observe_run and type_ != "Created":
            expected = {"runId": "a"} | expected  # All that OpenLineage reports is of a run.
        minute = number if random.random() < 0.7 else random.randrange(-1, number + 1)
        at = START + timedelta(minutes=minute)
        wanted = decided(type_, expected, job, at, judge)
        if is_plain(type_, expected):
            fields = job.__dict__.copy()
            added = add_plain(fields, type_, expected, at)
            assert not added or wanted is not None, (type_, expected, job)
            assert job_with(fields) == (wanted if added else job)
            met[added] += 1
            stored = canonical.encode(stored_fields(type_, expected))
            assert stored == parse_report(type_, expected).encode()
        report = parse_report(type_, expected)
        try:
            decide = introduce if type_ == "Created" else judge
            for data in decide(report, job, at=at, past=past):
                event = Event(NAME, job.version + 1, data, at)
                job = recorded(job, event, past)
                past.append(event)
        except LedgerError:
            continue
    return met


def test_what_has_a_meaning_to_the_ledger_is_not_plain() -> None:
    for type_, cls in EVENT_TYPES.items():
        for name, field in cls.model_fields.items():
            for key in {name, field.alias or name} - {"runId"}:
                assert not is_plain(type_, {key: None}), (type_, key)
    assert not is_plain("Started", {"runId": ""})
    assert not is_plain("Started", {"runId": 7})
    assert not is_plain("Unheard", {})
