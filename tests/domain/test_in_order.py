"""Changes of a system whose log has them in their order, and which does not name attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobledger.domain import events as e
from jobledger.domain.data import Data
from jobledger.domain.job import Job, fold, recorded
from jobledger.domain.observing import catch_up, observe_in_order
from jobledger.domain.reports import parse_report
from jobledger.domain.states import JobState, state_after

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
NAME = "projects/p/jobs/x"
FAILED = e.Failed.model_validate({"error": {"code": 2, "message": "m"}})


def told(*reports: Data | tuple[Data, float]) -> list[e.Event]:
    """The events of a job after these reports, a second apart or at the second that is given."""
    events = [e.Event(NAME, 1, e.Created(), BEGIN)]
    job = recorded(Job(name=NAME), events[0])
    for number, report in enumerate(reports, 1):
        data, second = report if isinstance(report, tuple) else (report, number)
        at = BEGIN + timedelta(seconds=second)
        for fact in observe_in_order(data, job, at, events):
            event = e.Event(NAME, job.version + 1, fact, at)
            job = recorded(job, event, events)
            events.append(event)
    return events


def job_after(*reports: Data | tuple[Data, float]) -> Job:
    return fold(Job(name=NAME), told(*reports))


def types(*reports: Data | tuple[Data, float]) -> list[str]:
    return [event.type for event in told(*reports)[1:]]


@pytest.mark.parametrize("end", [e.Succeeded(), FAILED, e.Cancelled(), e.Expired()])
@pytest.mark.parametrize("again", [e.Queued(), e.Preparing(), e.Started()])
def test_what_follows_an_end_is_a_new_attempt(end: Data, again: Data) -> None:
    job = job_after(e.Started(), end, again)
    assert (job.state, job.attempt) == (state_after(type(again).__name__), 2)


def test_an_end_that_is_changed_by_hand_is_that_of_a_new_attempt() -> None:
    job = job_after(e.Started(), FAILED, e.Succeeded())
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    assert types(e.Started(), FAILED, e.Succeeded())[2:] == ["Started", "Succeeded"]


def test_a_state_that_is_reported_again_is_a_comment() -> None:
    assert types(e.Preparing(), e.Preparing(), e.Started(), e.Started(), FAILED, FAILED) == [
        "Preparing", "Commented", "Started", "Commented", "Failed", "Commented",
    ]  # fmt: skip


def test_a_report_without_a_readable_meaning_is_contradicted() -> None:
    unreadable = parse_report("LabelsChanged", {"labels": ["team"]})
    assert types(e.Started(), unreadable) == ["Started", "Contradicted"]
    past = told(e.Started())
    assert catch_up(unreadable, fold(Job(name=NAME), past), BEGIN, past) == ()


def test_what_follows_a_pause_ends_it() -> None:
    assert types(e.Started(), e.Paused(), e.Started(), e.Succeeded()) == [
        "Started", "Paused", "Resumed", "Started", "Succeeded",
    ]  # fmt: skip
    assert job_after(e.Started(), e.Paused(), e.Queued(), e.Started()).attempt == 1


def test_a_start_that_is_stamped_before_the_pause_ends_it() -> None:
    reports = (e.Started(), (e.Paused(), 3), (e.Started(), 2.95), (e.Succeeded(), 4))
    assert types(*reports) == ["Started", "Paused", "Resumed", "Started", "Succeeded"]
    job = job_after(*reports[:-1])
    assert (job.state, job.attempt) == (JobState.RUNNING, 1)
    assert job.last_effect == BEGIN + timedelta(seconds=3)


def test_a_retry_before_any_start_begins_the_second_attempt() -> None:
    retried = e.Retried(reason="again")
    assert types(e.Preparing(), retried, e.Started()) == ["Preparing", "Retried", "Started"]
    assert job_after(e.Preparing(), retried, e.Started()).attempt == 2
    assert job_after(retried, e.Started()).attempt == 2
    assert job_after(e.Started(), e.Queued(), retried, e.Started()).attempt == 2
    # The first start comes late.
    job = job_after((e.Preparing(), 1), (retried, 5), (e.Started(), 6), (e.Started(), 3))
    assert (job.attempt, job.state) == (2, JobState.RUNNING)


def test_a_late_state_is_put_where_it_belongs_and_begins_nothing() -> None:
    job = job_after((e.Preparing(), 1), (e.Succeeded(), 9), (e.Started(), 3))
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    assert job.start_time == BEGIN + timedelta(seconds=3)
    assert types((e.Preparing(), 1), (e.Started(), 3), (e.Preparing(), 2))[-1] == "Commented"


STATES = [
    e.Queued(), e.Preparing(), e.Started(), e.Paused(), e.Cancelling(),
    e.Succeeded(), e.PartiallySucceeded(), FAILED, e.Cancelled(), e.Expired(),
]  # fmt: skip


@pytest.mark.slow
@given(st.lists(st.sampled_from(STATES), min_size=1, max_size=12))
def test_the_job_is_in_the_state_that_was_reported_last(reports: list[Data]) -> None:
    """Only a job that is being cancelled can contradict it: the lifecycle allows it nothing but an end."""
    for count in range(1, len(reports) + 1):
        before, events = told(*reports[: count - 1]), told(*reports[:count])
        added = [event.type for event in events[len(before) :]]
        if "Contradicted" in added:
            assert fold(Job(name=NAME), before).state is JobState.CANCELLING
        else:
            last = state_after(type(reports[count - 1]).__name__)
            assert fold(Job(name=NAME), events).state is last
