"""Decisions on commands and reports, and the job after them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from jobledger.domain.commands import (
    CancelJob,
    ChangeLabels,
    CreateJob,
    DeleteJob,
    JobCommand,
    PauseJob,
    ResumeJob,
    RetryJob,
    UpdateJob,
)
from jobledger.domain.data import Status
from jobledger.domain.errors import (
    IllegalTransitionError,
    JobExistsError,
    JobNotFoundError,
    PastNeededError,
)
from jobledger.domain.events import (
    Cancelled,
    Cancelling,
    Contradicted,
    Created,
    Deleted,
    Expired,
    Failed,
    LabelsChanged,
    Paused,
    Preparing,
    ProgressReported,
    Queued,
    Resumed,
    Retried,
    Started,
    Succeeded,
    Updated,
    Updating,
)
from jobledger.domain.job import judge
from jobledger.domain.states import JobState

from tests.given import BEGIN, given

MINUTE = timedelta(minutes=1)


def test_a_new_job_waits() -> None:
    job = (
        given()
        .when(CreateJob(labels={"team": "a"}, spec={"x": 1}))
        .then(Created(labels={"team": "a"}, spec={"x": 1}))
    )
    assert (job.state, job.version, job.attempt) == (JobState.QUEUED, 1, 1)
    assert (job.create_time, job.update_time) == (BEGIN, BEGIN)
    assert (job.labels, job.spec) == ({"team": "a"}, {"x": 1})
    assert (job.start_time, job.end_time, job.error, job.output) == (None, None, None, None)


def test_a_name_is_used_once() -> None:
    given(Created()).when(CreateJob()).refused(JobExistsError)


def test_a_deleted_job_keeps_its_name() -> None:
    given(Created(), Failed(), Deleted()).when(CreateJob()).refused(JobExistsError)


@pytest.mark.parametrize(
    "command", [CancelJob(), PauseJob(), ResumeJob(), RetryJob(), DeleteJob(), UpdateJob()]
)
def test_commands_on_a_missing_job_are_refused(command: JobCommand) -> None:
    given().when(command).refused(JobNotFoundError)
    given(Created(), Failed(), Deleted()).when(command).refused(JobNotFoundError)


@pytest.mark.parametrize("past", [(Created(),), (Created(), Paused())])
def test_cancelling_a_waiting_job_ends_it_at_once(past: tuple[Created, ...]) -> None:
    job = (
        given(*past)
        .when(CancelJob(reason="typo"))
        .then(Cancelling(reason="typo"), Cancelled(reason="typo"))
    )
    assert job.state is JobState.CANCELLED
    assert (job.error, job.error_message) == ({"code": 1, "message": "typo"}, "typo")


def test_a_cancel_while_it_runs_waits_for_the_worker_and_keeps_the_reason() -> None:
    asked = given(Created(), Started()).when(CancelJob(reason="typo"))
    job = asked.then(Cancelling(reason="typo"))
    assert (job.state, job.error, job.error_message) == (JobState.CANCELLING, None, "typo")
    assert job.end_time is None

    job = given(Created(), Started(), Cancelling(reason="typo")).when(Cancelled()).then(Cancelled())
    assert (job.error, job.error_message) == ({"code": 1, "message": "typo"}, "typo")
    assert job.end_time == BEGIN + 3 * MINUTE


def test_a_command_without_effect_records_nothing() -> None:
    given(Created(), Started(), Cancelling()).when(CancelJob()).then()
    given(Created(), Paused()).when(PauseJob()).then()
    given(Created(labels={"a": "b"})).when(ChangeLabels(labels={"a": "b"})).then()


@pytest.mark.parametrize("command", [CancelJob(), PauseJob(), ResumeJob(), UpdateJob()])
def test_commands_on_an_ended_job_are_refused(command: JobCommand) -> None:
    error = given(Created(), Started(), Succeeded()).when(command).refused(IllegalTransitionError)
    assert error.state == "SUCCEEDED"  # type: ignore[attr-defined]


def test_a_live_job_is_neither_retried_nor_deleted() -> None:
    given(Created(), Started()).when(RetryJob()).refused(IllegalTransitionError)
    given(Created(), Started()).when(DeleteJob()).refused(IllegalTransitionError)


def test_a_new_attempt_clears_the_end_and_keeps_the_first_start() -> None:
    job = (
        given(Created(), Started(), Failed(error=Status(code=8, message="oom")))
        .when(RetryJob(reason="again"))
        .then(Retried(reason="again"))
    )
    assert (job.state, job.attempt) == (JobState.QUEUED, 2)
    assert (job.end_time, job.error, job.error_message) == (None, None, None)
    assert job.start_time == BEGIN + MINUTE
    again = given(Created(), Started(), Failed(), Retried()).when(Started()).then(Started())
    assert again.start_time == BEGIN + MINUTE


def test_an_update_runs_again_with_the_new_configuration_or_the_old() -> None:
    past = (Created(spec={"x": 1}), Started(), Updating(spec={"x": 2}))
    assert given(*past).when(Updated(spec={"x": 2})).then(Updated(spec={"x": 2})).spec == {"x": 2}
    failed = Updated(error=Status(code=3, message="no"))
    job = given(*past).when(failed).then(failed)
    assert (job.spec, job.state, job.error) == ({"x": 1}, JobState.RUNNING, None)


def test_the_labels_that_an_update_asked_for_hold_once_it_succeeded() -> None:
    asked = Updating(spec={"x": 2}, labels={"team": "b"})
    past = (Created(labels={"team": "a"}), Started(), asked)
    failed = Updated(error=Status(code=3, message="no"))
    assert given(*past).when(failed).then(failed).labels == {"team": "a"}
    changed = LabelsChanged(labels={"team": "b"})
    job = given(*past).when(Updated(spec={"x": 2})).then(Updated(spec={"x": 2}), changed)
    assert job.labels == {"team": "b"}
    again = given(*past, Updated(spec={}), changed, Updating())
    assert again.when(Updated()).then(Updated()).labels == {"team": "b"}
    with pytest.raises(PastNeededError):
        judge(Updated(), given(*past).job)


def test_output_is_shown_and_cleared_by_a_new_attempt() -> None:
    progress = ProgressReported(output={"steps": 5})
    assert given(Created(), Started()).when(progress).then(progress).output == {"steps": 5}
    done = given(Created(), Started(), progress).when(Succeeded()).then(Succeeded())
    assert done.output == {"steps": 5}
    past = (Created(), Started(), Succeeded(output={"m": 1}))
    assert given(*past).when(RetryJob()).then(Retried()).output is None


def test_a_failure_without_an_error_has_an_unknown_one() -> None:
    job = given(Created()).when(Failed()).then(Failed())
    assert (job.error, job.error_message) == ({"code": 2, "message": ""}, "")


def test_an_expired_job_has_a_reason_and_no_error() -> None:
    job = given(Created()).when(Expired(reason="waited")).then(Expired(reason="waited"))
    assert (job.error, job.error_message, job.end_time) == (None, "waited", BEGIN + MINUTE)


def test_a_report_on_a_deleted_job_is_kept() -> None:
    past = (Created(), Succeeded(), Deleted())
    job = given(*past).when(Started()).then(Contradicted(report="Started", state="DELETED"))
    assert job.state is JobState.SUCCEEDED


def test_a_report_on_a_job_that_was_never_created_is_refused() -> None:
    given().when(Started()).refused(JobNotFoundError)
    given().when(Created(inferred=True)).then(Created(inferred=True))


def test_labels_can_be_changed_after_the_end() -> None:
    changed = LabelsChanged(labels={"owner": "x"})
    job = given(Created(), Succeeded()).when(ChangeLabels(labels={"owner": "x"})).then(changed)
    assert job.labels == {"owner": "x"}


def test_a_job_sent_back_waits_again() -> None:
    job = (
        given(Created(), Preparing()).when(Queued(queue_position=3)).then(Queued(queue_position=3))
    )
    assert job.state is JobState.QUEUED


def test_a_paused_job_is_resumed_to_wait() -> None:
    job = given(Created(), Started(), Paused()).when(ResumeJob()).then(Resumed())
    assert job.state is JobState.QUEUED


def test_the_etag_changes_with_every_event_and_is_padded_base64() -> None:
    scenario = given(Created())
    after = scenario.when(Started()).then(Started())
    assert scenario.job.etag != after.etag
    assert len(after.etag) == 12
    assert after.etag.endswith("=")
