"""How reports name attempts, and which attempt of the job they mean."""

from __future__ import annotations

from typing import Any

import pytest
from jobledger.domain import events as e
from jobledger.domain.attempts import (
    EARLIER,
    UNNAMED,
    Named,
    attempts_ahead,
    is_late,
    named_attempt,
    remembered,
    repeats_retry,
    sends_back,
    settled,
)
from jobledger.domain.data import Data
from jobledger.domain.job import Job

from tests.given import BEGIN, HOUR, NAME, lived


def report(type_: type[Data] = e.Succeeded, **fields: Any) -> Data:
    return type_.model_validate(fields)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, UNNAMED),
        ({"attempt": 1}, Named(1, None)),
        ({"attempt": e.MAX_ATTEMPT}, Named(e.MAX_ATTEMPT, None)),
        ({"attempt": e.MAX_ATTEMPT + 1}, UNNAMED),
        ({"attempt": 0}, UNNAMED),
        ({"attempt": True}, UNNAMED),
        ({"attempt": 2.0}, UNNAMED),
        ({"attempt": "2"}, Named(None, "2")),
        ({"attempt": ""}, UNNAMED),
        ({"runId": "r"}, Named(None, "r")),
        ({"runId": 7}, Named(None, "7")),
        ({"runId": True}, UNNAMED),
        ({"runId": ""}, UNNAMED),
        ({"runId": "r" * e.MAX_RUN_ID}, Named(None, "r" * e.MAX_RUN_ID)),
        ({"runId": "r" * (e.MAX_RUN_ID + 1)}, UNNAMED),
        ({"runId": ["r"]}, UNNAMED),
        ({"attempt": 2, "runId": "r"}, Named(2, "r")),
        ({"attempt": "a", "runId": "r"}, Named(None, "r")),
        ({"attempt": "a", "runId": ""}, Named(None, "a")),
    ],
)
def test_an_attempt_is_named_by_a_number_or_an_id(fields: dict[str, Any], named: Named) -> None:
    assert named_attempt(report(e.Succeeded, **fields)) == named
    assert named_attempt(report(e.LabelsChanged, **{"labels": {}, **fields})) == UNNAMED


def test_a_beginning_names_its_attempt_by_its_own_field() -> None:
    assert named_attempt(e.Started(run_id="r")) == Named(None, "r")
    assert named_attempt(report(e.Started, attempt=3, runId="r")) == Named(3, "r")


TWICE = (e.Created(), e.Started(run_id="a"), e.Retried(attempts_begun=1), e.Started(run_id="b"))
UNNAMED_END = (e.Created(), e.Started(), e.Failed())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("past", "expected", "ahead"),
    [
        (TWICE, report(), 0),
        (TWICE, report(attempt=1), EARLIER),
        (TWICE, report(attempt=2), 0),
        (TWICE, report(attempt=3), 1),
        (TWICE, report(attempt=7), 5),
        (TWICE, report(runId="a"), EARLIER),
        (TWICE, report(runId="b"), 0),
        (TWICE, report(runId="c"), 1),
        (UNNAMED_END, report(runId="c"), 0),
        (UNNAMED_END, e.Started(run_id="c"), 1),
        (UNNAMED_END, e.Retried(run_id="c"), 1),
        (UNNAMED_END[:2], e.Started(run_id="c"), 0),
        (UNNAMED_END[:2], e.Retried(run_id="c"), 1),
        ((), e.Started(run_id="c"), 0),
    ],
)  # fmt: skip
def test_which_attempt_a_report_speaks_of(
    past: tuple[Data, ...], expected: Data, ahead: int
) -> None:
    assert attempts_ahead(expected, lived(*past)[0]) == ahead
    assert attempts_ahead(expected, lived(*past, kind="evaluationJobs")[0]) == 0


def test_a_late_report_with_a_new_id_begins_nothing_after_the_end() -> None:
    job, expected = lived(*UNNAMED_END)[0], e.Started(run_id="c")
    ended = BEGIN + 2 * HOUR
    for at, ahead in ((None, 1), (ended, 1), (ended + HOUR, 1), (ended - HOUR, 0)):
        assert attempts_ahead(expected, job, at) == ahead
        assert is_late(job, at) == (at == ended - HOUR)
    assert not is_late(Job(name=NAME), BEGIN)


@pytest.mark.parametrize(
    ("expected", "sends"),
    [
        (e.Queued(), True),
        (e.Preparing(), True),
        (e.Retried(), True),
        (e.Started(), False),
        (e.Succeeded(), False),
        (e.Queued(run_id="a"), True),
        (e.Queued(run_id="b"), False),
        (e.Queued(run_id="c"), True),
        (report(e.Queued, attempt=2), False),
    ],
)
def test_a_report_of_queueing_sends_a_running_job_back(expected: Data, sends: bool) -> None:
    job = lived(*TWICE)[0]
    assert sends_back(expected, job, None) == (sends and getattr(expected, "run_id", None) != "a")
    assert sends_back(expected, job, BEGIN + 3 * HOUR) == sends_back(expected, job, None)
    assert not sends_back(expected, job, BEGIN + 2 * HOUR)
    assert not sends_back(expected, lived(*TWICE, kind="evaluationJobs")[0], None)


def test_a_retry_of_the_attempt_that_is_current_is_known_already() -> None:
    job = lived(*TWICE)[0]
    for expected, known in (
        (report(e.Retried, attempt=2), True),
        (report(e.Retried, attempt=1), False),
        (report(e.Retried, attempt=1, runId="b"), False),
        (e.Retried(run_id="b"), True),
        (e.Retried(run_id="a"), False),
        (e.Retried(), False),
        (report(e.Started, attempt=2), False),
    ):
        assert repeats_retry(expected, job) == known
        assert not repeats_retry(expected, lived(*TWICE, kind="evaluationJobs")[0])
    assert not repeats_retry(e.Retried(run_id="b"), lived(e.Created())[0])
    assert repeats_retry(e.Retried(run_id="a"), lived(*TWICE[:2])[0])


def test_a_report_is_recorded_with_the_attempts_it_begins() -> None:
    job = lived(*TWICE)[0]
    assert settled(e.Succeeded(), job, 0) == e.Succeeded()
    assert settled(e.Started(), job, 0) == e.Started()
    assert settled(e.Retried(), job, 1) == e.Retried()
    assert settled(e.Queued(), job, 1).json_object() == {"attemptsBegun": 1, "attempt": 3}
    assert settled(report(e.Queued, attempt=9), job, 3).json_object() == {
        "attemptsBegun": 3, "attempt": 9,
    }  # fmt: skip
    assert settled(e.Retried(), job, 0).json_object() == {"attemptsBegun": 0}
    assert settled(e.Queued(attempts_begun=4), job, 0).json_object() == {}
    assert settled(report(e.Started, attempt="r7"), job, 0).json_object() == {
        "attempt": "r7", "runId": "r7",
    }  # fmt: skip


def test_ids_are_remembered_with_the_current_attempts_last() -> None:
    assert remembered((), None, 0) == ()
    assert remembered((), None, 1) == ()
    assert remembered(("a",), None, 0) == ("a",)
    assert remembered(("a",), None, 1) == ("a", None)
    assert remembered(("a", None), None, 1) == ("a", None)
    assert remembered(("a", None), "b", 0) == ("a", "b")
    assert remembered(("a", "b"), "a", 1) == ("b", "a")
    full = tuple(map(str, range(100)))
    assert remembered(full, "x", 1) == (*full[1:], "x")
    assert remembered(full, None, 1) == (*full, None)
    assert remembered((*full, None), "x", 1) == (*full[1:], "x")
