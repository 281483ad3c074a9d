"""Runs of evaluation jobs: which may begin or end, the job's output about them, and the events that follow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jobledger.domain.commands import DeleteJob, JobCommand, ResumeJob, StepRun
from jobledger.domain.data import Data
from jobledger.domain.errors import IllegalTransitionError
from jobledger.domain.events import (
    Cancelled,
    Created,
    Deleted,
    Event,
    PartiallySucceeded,
    Paused,
    ProgressReported,
    Resumed,
    Retried,
    Started,
    Succeeded,
)
from jobledger.domain.job import Job, decide, evolve, judge
from jobledger.domain.run_events import (
    DatasetCreated,
    EvaluationCreated,
    LabelingRequested,
    RunFailed,
    RunStarted,
    Scheduled,
    Stopped,
)
from jobledger.domain.runs import (
    LastRun,
    closes_last,
    fold_run,
    kept,
    last_run,
    open_runs,
    run_accepts,
)
from jobledger.domain.states import JobState
from jobledger.domain.values.canonical import JsonObject

BEGIN = datetime(2026, 6, 1, 10, tzinfo=UTC)
TIME = "2026-06-02T10:00:00Z"
FIRST, SECOND = RunStarted(run=1, run_time=TIME, cut=5), RunStarted(run=2, run_time=TIME, cut=5)
FAILED = RunFailed(run=2, attempt_time=TIME, partial_failures=[{"code": 13}])
FAILURE = {"attemptTime": TIME, "partialFailures": [{"code": 13}]}


def lived(*facts: Data, kind: str = "evaluationJobs") -> Job:
    """A job to which these happened, an hour apart."""
    job = Job(name=f"projects/p/{kind}/7")
    for number, fact in enumerate(facts):
        job = evolve(job, Event(job.name, number + 1, fact, BEGIN + number * timedelta(hours=1)))
    return job


def test_the_output_lists_runs_as_they_start_and_end() -> None:
    job = lived(Created(), FIRST)
    body: dict[str, Any] = {"lastRun": {"run": 1, "runTime": TIME, "cut": 5}, "openRuns": [1]}
    assert (job.state, job.output) == (JobState.RUNNING, body)
    job = lived(Created(), FIRST, SECOND)
    body["lastRun"] = {"run": 2, "runTime": TIME, "cut": 5}
    assert job.output == body | {"openRuns": [1, 2]}
    job = lived(Created(), FIRST, SECOND, EvaluationCreated(run=1))
    assert job.output == body | {"openRuns": [2]}
    job = lived(Created(), FIRST, SECOND, FAILED)
    assert job.output == body | {"openRuns": [1], "attempts": [FAILURE]}
    job = lived(Created(), FIRST, SECOND, FAILED, FAILED.model_copy(update={"run": 1}))
    assert job.output == body | {"openRuns": [], "attempts": [FAILURE, FAILURE]}
    job = lived(Created(), FIRST, DatasetCreated(run=1))
    assert job.output == {"lastRun": {"run": 1, "runTime": TIME, "cut": 5}, "openRuns": [1]}


def test_the_output_of_runs_survives_other_outputs() -> None:
    runs = lived(Created(), FIRST, SECOND, FAILED).output
    assert runs is not None
    expected = {"accuracy": 1, "openRuns": [9]}
    for report in (
        ProgressReported(output=expected),
        Succeeded(output=expected),
        PartiallySucceeded(output=expected),
    ):
        job = lived(Created(), FIRST, SECOND, FAILED, report)
        assert job.output == runs | {"accuracy": 1}
        assert lived(Created(), report).output == expected
        begun = lived(
            Created(), FIRST, SECOND, FAILED, report, Started(attempts_begun=2, run_id="r")
        )
        assert (begun.output, begun.attempt, begun.run_ids) == (runs, 3, ("r",))


def test_other_jobs_have_no_runs() -> None:
    expected = {"lastRun": {"run": 1}, "openRuns": [1]}
    job = lived(Created(), ProgressReported(output=expected), kind="jobs")
    assert job.output == expected
    job = lived(
        Created(), ProgressReported(output=expected), ProgressReported(output={}), kind="jobs"
    )
    assert job.output == {}
    job = lived(
        Created(), ProgressReported(output=expected), Retried(attempts_begun=1), kind="jobs"
    )
    assert (job.output, job.attempt) == (None, 2)
    assert lived(Created(), FIRST, EvaluationCreated(run=1), FAILED, kind="jobs").output is None


def test_the_last_run_and_open_runs_are_read_of_the_output() -> None:
    output = lived(Created(), FIRST, SECOND, EvaluationCreated(run=1)).output
    assert last_run(output) == LastRun(2, datetime(2026, 6, 2, 10, tzinfo=UTC), 5)
    assert open_runs(output) == [2]
    without: list[JsonObject | None] = [
        None,
        {},
        {"lastRun": "none", "openRuns": {}},
        {"attempts": []},
    ]
    for nothing in without:
        assert last_run(nothing) == LastRun(0, None, 0)
        assert open_runs(nothing) == []
    assert fold_run({"openRuns": "none", "attempts": {}}, FAILED) == {
        "openRuns": [], "attempts": [FAILURE]
    }  # fmt: skip


def test_a_reported_output_keeps_only_the_fields_of_runs() -> None:
    runs: JsonObject = {"attempts": [], "lastRun": {}, "openRuns": []}
    assert kept(runs | {"accuracy": 1}) == runs
    assert kept({"openRuns": [1], "accuracy": 1}) == {"openRuns": [1]}
    assert (kept(None), kept({})) == ({}, {})


NO_RUN: JsonObject = {}
OPEN_1: JsonObject = {"lastRun": {"run": 1, "runTime": TIME, "cut": 5}, "openRuns": [1]}
OPEN_2: JsonObject = {"lastRun": {"run": 2, "runTime": TIME, "cut": 5}, "openRuns": [1, 2]}


def started(run: int, cut: int) -> RunStarted:
    return RunStarted(run=run, run_time=TIME, cut=cut)


@pytest.mark.parametrize(
    ("output", "accepted", "refused"),
    [
        (NO_RUN, [started(1, 0), started(1, 9), Started()], [started(2, 0), DatasetCreated(run=1)]),
        (OPEN_1, [started(2, 5), started(2, 6), LabelingRequested(run=1), EvaluationCreated(run=1)],
         [started(2, 4), started(1, 5), started(3, 5), DatasetCreated(run=2), FAILED]),
        (OPEN_2, [DatasetCreated(run=1), DatasetCreated(run=2), FAILED, Scheduled()], [DatasetCreated(run=3)]),
    ],
)  # fmt: skip
def test_runs_follow_one_another_and_only_open_ones_go_on(
    output: JsonObject, accepted: list[Data], refused: list[Data]
) -> None:
    assert [run_accepts(data, output) for data in accepted] == [True] * len(accepted)
    assert [run_accepts(data, output) for data in refused] == [False] * len(refused)


def test_an_event_that_closes_the_only_open_run_closes_the_last() -> None:
    closing = [EvaluationCreated(run=1), RunFailed(run=1, attempt_time=TIME)]
    assert [closes_last(data, OPEN_1) for data in closing] == [True, True]
    assert [closes_last(data, OPEN_2) for data in closing] == [False, False]
    others = [DatasetCreated(run=1), Started(), Scheduled(), started(1, 5)]
    assert [closes_last(data, OPEN_1) for data in others] == [False] * 4


ENDED = EvaluationCreated(run=1)


@pytest.mark.parametrize(
    ("past", "command", "facts"),
    [
        ([Created()], StepRun(facts=(FIRST,)), (FIRST,)),
        ([Created(), FIRST], StepRun(facts=(ENDED,)), (ENDED, Scheduled())),
        ([Created(), FIRST, SECOND], StepRun(facts=(ENDED,)), (ENDED,)),
        ([Created(), FIRST, Paused()], StepRun(facts=(ENDED,)), (ENDED,)),
        ([Created(), FIRST, Paused()], ResumeJob(), (Resumed(), Started())),
        ([Created(), FIRST, Paused(), ENDED], ResumeJob(), (Resumed(),)),
        ([Created(), FIRST], ResumeJob(), ()),
        ([Created()], ResumeJob(), ()),
        ([Created(), FIRST], DeleteJob(stop=True), (Stopped(), Deleted())),
        ([Created(), FIRST, Stopped()], DeleteJob(stop=True), (Deleted(),)),
    ],
)  # fmt: skip
def test_an_evaluation_job_runs_while_any_run_is_open(
    past: list[Data], command: JobCommand, facts: tuple[Data, ...]
) -> None:
    assert decide(command, lived(*past)) == facts


def test_a_report_that_closes_the_last_run_schedules_the_job() -> None:
    assert judge(ENDED, lived(Created(), FIRST)) == (ENDED, Scheduled())
    assert judge(ENDED, lived(Created(), FIRST, SECOND)) == (ENDED,)


def test_other_jobs_are_cancelled_before_they_are_deleted() -> None:
    running = lived(Created(), Started(), kind="jobs")
    assert decide(DeleteJob(stop=True), running) == (Cancelled(), Deleted())


@pytest.mark.parametrize(
    ("past", "fact", "event", "state"),
    [
        ([Created()], SECOND, "RunStarted", "QUEUED"),
        ([Created(), FIRST], FIRST, "RunStarted", "RUNNING"),
        ([Created(), FIRST], FAILED, "RunFailed", "RUNNING"),
        ([Created(), FIRST, Stopped()], ENDED, "EvaluationCreated", "CANCELLED"),
    ],
)  # fmt: skip
def test_an_impossible_step_of_a_run_is_refused(
    past: list[Data], fact: Data, event: str, state: str
) -> None:
    with pytest.raises(IllegalTransitionError) as caught:
        decide(StepRun(facts=(fact,)), lived(*past))
    assert (caught.value.event, caught.value.state) == (event, state)
    assert caught.value.name == "projects/p/evaluationJobs/7"
