"""Commands: their events, their refusals, and how far back their changes may be dated."""

from __future__ import annotations

from typing import Any

import pytest
from jobledger.domain.commands import (
    CancelJob,
    ChangeConfig,
    ChangeLabels,
    ChangePolicy,
    CreateJob,
    DeleteJob,
    JobCommand,
    PauseJob,
    ResumeJob,
    RetryJob,
    UpdateJob,
)
from jobledger.domain.data import Data, Status
from jobledger.domain.errors import (
    EtagMismatchError,
    IllegalTransitionError,
    JobExistsError,
    JobNotFoundError,
    PastNeededError,
)
from jobledger.domain.events import (
    Cancelled,
    Cancelling,
    ConfigChanged,
    Contradicted,
    Created,
    Deleted,
    Event,
    Failed,
    LabelsChanged,
    Paused,
    Placement,
    PolicyChanged,
    Preparing,
    ProgressReported,
    Queued,
    Resumed,
    Retried,
    Started,
    Succeeded,
    Updated,
    Updating,
    placement_of,
)
from jobledger.domain.job import Job, decide, evolve, fold, judge, project_job, replay

from tests.given import BEGIN, HOUR, NAME, given

NEW = Created(labels={"team": "a"}, spec={"x": 1})
ENDED = (NEW, Failed())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("past", "command", "facts"),
    [
        ([], CreateJob(labels={"a": "b"}, spec={"y": 2}), [Created(labels={"a": "b"}, spec={"y": 2})]),
        ([], CreateJob(preparing=True), [Created(), Preparing()]),
        ([NEW], CancelJob(reason="no", unless_ended=True), [Cancelling(reason="no"), Cancelled(reason="no")]),
        (ENDED, CancelJob(unless_ended=True), []),
        ([NEW, Started()], PauseJob(reason="no"), [Paused(reason="no")]),
        ([NEW, Paused()], ResumeJob(), [Resumed()]),
        ([NEW, Paused()], ResumeJob(running=True), [Resumed(), Started()]),
        ([NEW, Started()], UpdateJob(spec={"y": 2}), [Updating(spec={"y": 2})]),
        ([NEW, Started()], UpdateJob(spec={}, labels={"team": "a"}), [Updating(spec={})]),
        ([NEW, Started()], UpdateJob(spec={}, labels={}), [Updating(spec={}, labels={})]),
        ([NEW], ChangeConfig(spec={"y": 2}), [ConfigChanged(spec={"y": 2})]),
        ([NEW], ChangeConfig(spec={"x": 1}), []),
        ([NEW], ChangePolicy(policy={"bindings": []}), [PolicyChanged(policy={"bindings": []})]),
        ([NEW], ChangeLabels(labels={"team": "b"}), [LabelsChanged(labels={"team": "b"})]),
        ([NEW], ChangeLabels(labels={"team": "a"}), []),
        (ENDED, RetryJob(reason="again"), [Retried(reason="again")]),
        (ENDED, DeleteJob(), [Deleted()]),
        (ENDED, DeleteJob(stop=True), [Deleted()]),
        ([NEW, Started()], DeleteJob(stop=True), [Cancelled(), Deleted()]),
    ],
)  # fmt: skip
def test_a_command_decides_its_events(
    past: list[Data], command: JobCommand, facts: list[Data]
) -> None:
    given(*past).when(command).then(*facts)


@pytest.mark.parametrize(
    ("past", "command", "state", "event"),
    [
        (ENDED, CancelJob(), "FAILED", "Cancelling"),
        ([NEW, Started()], ResumeJob(), "RUNNING", "Resumed"),
        ([NEW], UpdateJob(), "QUEUED", "Updating"),
        ([NEW], DeleteJob(), "QUEUED", "Deleted"),
        (ENDED, ChangeConfig(spec={}), "FAILED", "ConfigChanged"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_job_its_state_and_the_event(
    past: list[Data], command: JobCommand, state: str, event: str
) -> None:
    error = given(*past).when(command).refused(IllegalTransitionError)
    assert isinstance(error, IllegalTransitionError)
    assert (error.name, error.state, error.event) == (NAME, state, event)


def test_a_refusal_says_whether_the_job_was_deleted() -> None:
    deleted = given(*ENDED, Deleted())
    for scenario, command, expected, is_deleted in (
        (given(NEW), CreateJob(), JobExistsError, False),
        (deleted, CreateJob(), JobExistsError, True),
        (given(), CancelJob(), JobNotFoundError, False),
        (deleted, CancelJob(), JobNotFoundError, True),
    ):
        error = scenario.when(command).refused(expected)
        assert isinstance(error, JobExistsError | JobNotFoundError)
        assert (error.name, error.deleted) == (NAME, is_deleted)


def test_an_etag_is_that_of_the_job_or_the_command_is_refused() -> None:
    job = given(NEW, Started()).job
    given(NEW, Started()).when(PauseJob(etag=job.etag)).then(Paused())
    for other in ("", "x", given(NEW).job.etag):
        error = given(NEW, Started()).when(PauseJob(etag=other)).refused(EtagMismatchError)
        assert isinstance(error, EtagMismatchError)
        assert error.name == NAME


def lived(*facts: Data) -> tuple[Job, list[Event]]:
    """A job to which these happened, an hour apart, and its events."""
    events = [
        Event(NAME, number + 1, fact, BEGIN + number * HOUR) for number, fact in enumerate(facts)
    ]
    return replay(Job(name=NAME), events), events


LABELS, CONFIG, POLICY = (
    ChangeLabels(labels={"a": "b"}),
    ChangeConfig(spec={"y": 2}),
    ChangePolicy(policy={"z": 3}),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("past", "command", "hours", "placement"),
    [
        ([NEW, Started(), Paused()], LABELS, 0.5, Placement(after=1)),
        ([NEW, Started(), Paused()], LABELS, 1, Placement(after=2)),
        ([NEW, Started(), Paused()], LABELS, 1.5, Placement(after=2)),
        ([NEW, Started(), Paused()], LABELS, 0, Placement(after=1)),
        ([NEW, Started(), Paused()], LABELS, 2, None),
        ([NEW, Started(), Paused()], LABELS, 3, None),
        ([NEW, Started(), Paused()], LABELS, -1, None),
        ([NEW, Started(), LabelsChanged(labels={})], LABELS, 0.5, None),
        ([NEW, LabelsChanged(labels={}), Started()], LABELS, 1.5, Placement(after=2)),
        ([NEW, Started(), ConfigChanged(spec={})], LABELS, 0.5, Placement(after=1)),
        ([NEW, Started(), ConfigChanged(spec={})], CONFIG, 0.5, None),
        ([NEW, Started(), Updating(), Updated(spec={})], CONFIG, 0.5, None),
        ([NEW, Started(), PolicyChanged(policy={})], CONFIG, 1.5, Placement(after=2)),
        ([NEW, Started(), PolicyChanged(policy={})], POLICY, 1.5, None),
        ([NEW, Started(), LabelsChanged(labels={})], POLICY, 1.5, Placement(after=2)),
        ([NEW, Started()], PauseJob(), 0.5, None),
        ([NEW, Failed(), Retried(), Started()], CONFIG, 1.5, None),
    ],
)  # fmt: skip
def test_what_a_command_changes_is_dated_back_past_events_that_change_other_fields(
    past: list[Data], command: JobCommand, hours: float, placement: Placement | None
) -> None:
    job, events = lived(*past)
    (fact,) = decide(command, job, at=BEGIN + hours * HOUR, past=events)
    assert placement_of(fact) == placement
    (undated,) = decide(command, job)
    assert fact.json_object() == undated.json_object() | (
        {} if placement is None else {"@placed": {"after": placement.after, "latest": False}}
    )


def test_several_facts_happen_when_they_are_recorded() -> None:
    job, events = lived(NEW, Paused())
    facts = decide(ResumeJob(running=True), job, at=BEGIN + HOUR / 2, past=events)
    assert facts == (Resumed(), Started())


def test_a_change_is_dated_back_by_the_jobs_events_alone() -> None:
    job, events = lived(NEW, Started(), Paused())
    for past in (None, [], events[:-1]):
        with pytest.raises(PastNeededError) as caught:
            decide(LABELS, job, at=BEGIN + HOUR / 2, past=past)
        assert caught.value.name == NAME


def named(report: type[Data], **fields: Any) -> Data:
    return report.model_validate(fields)


@pytest.mark.parametrize(
    ("report", "begun", "run_id"),
    [
        (named(Succeeded, attempt=2), 1, None),
        (named(ProgressReported, attempt=3), 2, None),
        (named(Paused, attempt=2, runId="r2"), 1, "r2"),
        (named(Failed, runId="r2"), 1, "r2"),
    ],
)
def test_a_report_on_an_attempt_that_has_not_begun_infers_its_beginning(
    report: Data, begun: int, run_id: str | None
) -> None:
    for past in ([NEW, Started(run_id="r1")], [NEW, Started(run_id="r1"), Failed()]):
        inferred = Started(attempts_begun=begun, run_id=run_id, inferred=True)
        assert judge(report, lived(*past)[0]) == (inferred, report)


@pytest.mark.parametrize("report", [named(Resumed, attempt=2), named(Updated, attempt=2)])
def test_no_start_is_inferred_before_a_report_that_cannot_follow_one(report: Data) -> None:
    data = report.json_object()
    expected = Contradicted(report=type(report).__name__, state="FAILED", data=data)
    assert judge(report, lived(*ENDED)[0]) == (expected,)


def test_no_attempt_begins_while_the_job_is_being_cancelled() -> None:
    job, _ = lived(NEW, Started(), Cancelling())
    for report in (named(Failed, attempt=2), named(Queued, attempt=2)):
        data, type_ = report.json_object(), type(report).__name__
        assert judge(report, job) == (Contradicted(report=type_, state="CANCELLING", data=data),)


def test_a_report_on_a_deleted_job_is_contradicted_by_that() -> None:
    job, _ = lived(*ENDED, Deleted())
    (fact,) = judge(Succeeded(output={"x": 1}), job)
    assert fact == Contradicted(report="Succeeded", state="DELETED", data={"output": {"x": 1}})


def test_a_report_on_an_unknown_job_names_it() -> None:
    with pytest.raises(JobNotFoundError, match="create it first") as caught:
        judge(Succeeded(), Job(name=NAME))
    assert (caught.value.name, caught.value.deleted) == (NAME, False)


def test_times_of_a_job_known_before_they_occurred_are_cut() -> None:
    job, _ = lived(NEW, Started(), Failed())
    assert job.known_at(BEGIN + 2 * HOUR) is job
    assert job.known_at(BEGIN + 3 * HOUR) is job
    assert Job(name=NAME).known_at(BEGIN) == Job(name=NAME)
    known = BEGIN + 1.5 * HOUR
    assert job.known_at(known) == job.model_copy(update={"end_time": known, "update_time": known})
    assert job.known_at(BEGIN) == job.model_copy(
        update=dict.fromkeys(("start_time", "end_time", "update_time"), BEGIN)
    )


def test_a_contradicted_report_that_is_cut_took_effect_with_the_last_event() -> None:
    contradicted = Contradicted(report="Started", state="FAILED", data={})
    job, _ = lived(NEW, Failed(), contradicted)
    assert (job.update_time, job.effective_time) == (BEGIN + 2 * HOUR, BEGIN + HOUR)
    assert job.last_effect == BEGIN + HOUR
    later = job.known_at(BEGIN + 1.5 * HOUR)
    assert (later.update_time, later.effective_time) == (BEGIN + 1.5 * HOUR, BEGIN + HOUR)
    earlier = job.known_at(BEGIN + HOUR)
    assert (earlier.update_time, earlier.effective_time) == (BEGIN + HOUR, None)
    assert earlier.last_effect == BEGIN + HOUR


def test_evolve_does_not_change_the_job_it_is_given() -> None:
    job, _ = lived(NEW)
    before = job.model_copy()
    after = evolve(job, Event(NAME, 2, Started(), BEGIN + HOUR))
    assert (job, after.version, after.start_time) == (before, 2, BEGIN + HOUR)


@pytest.mark.parametrize(
    ("past", "error", "message"),
    [
        ((NEW, Failed()), {"code": 2, "message": ""}, ""),
        ((NEW, Failed(error=Status(code=14, message="lost"))), {"code": 14, "message": "lost"}, "lost"),
        ((NEW, Cancelled()), {"code": 1, "message": ""}, None),
        ((NEW, Cancelled(reason="no")), {"code": 1, "message": "no"}, "no"),
        ((NEW, Cancelling(reason="no")), None, "no"),
        ((NEW, Cancelling(reason="no"), Cancelled()), {"code": 1, "message": "no"}, "no"),
        ((NEW, Cancelling(reason="no"), Cancelled(reason="yes")), {"code": 1, "message": "yes"}, "yes"),
        ((NEW, Failed(), Retried()), None, None),
        ((NEW, Started()), None, None),
    ],
)  # fmt: skip
def test_the_error_is_that_of_the_state(
    past: tuple[Data, ...], error: dict[str, Any] | None, message: str | None
) -> None:
    job, _ = lived(*past)
    assert (job.error, job.error_message) == (error, message)


def test_events_are_folded_by_their_versions() -> None:
    job, events = lived(NEW, Started(), Failed(), Retried())
    assert fold(Job(name=NAME), events[::-1]) == job
    assert fold(fold(Job(name=NAME), events[:2]), events[:1:-1]) == job
    assert project_job(None, []) is None
    assert project_job(job, []) is job
    assert project_job(None, events) == job
    assert project_job(None, events[:1]) == lived(NEW)[0]
    assert project_job(lived(NEW, Started())[0], events[2:]) == job


def test_an_event_that_occurred_earlier_takes_effect_with_the_last_one() -> None:
    job, _ = lived(NEW, Started())
    after = evolve(job, Event(NAME, 3, Paused(), BEGIN + HOUR / 2))
    assert (after.update_time, after.effective_time) == (BEGIN + HOUR, None)
    assert after.last_effect == BEGIN + HOUR


def test_several_facts_of_a_late_report_need_no_past() -> None:
    job, _ = lived(NEW, Started(), ProgressReported())
    report = named(Succeeded, attempt=2)
    facts = judge(report, job, BEGIN + 1.5 * HOUR)
    assert facts == (Started(attempts_begun=1, inferred=True), report)


def test_a_late_report_that_names_a_new_attempt_begins_none_after_the_end() -> None:
    job, events = lived(NEW, Started(), Failed())
    report = Started(run_id="c")
    (fact,) = judge(report, job, BEGIN + 3 * HOUR, events)
    assert fact == named(Started, runId="c", attemptsBegun=1, attempt=2)
    (fact,) = judge(report, job, BEGIN + 1.5 * HOUR, events)
    assert isinstance(fact, Contradicted)


def test_a_late_report_is_placed_as_it_is_recorded() -> None:
    job, events = lived(NEW, LabelsChanged(labels={}))
    (fact,) = judge(named(Started, attempt="r7"), job, BEGIN + HOUR / 2, events)
    placement = {"after": 1, "latest": True}
    assert fact.json_object() == {"attempt": "r7", "runId": "r7", "@placed": placement}
