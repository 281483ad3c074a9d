"""Every pair of state and event, compared with the lifecycle written here a second time by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from jobledger.domain.data import Data
from jobledger.domain.errors import PastNeededError
from jobledger.domain.events import (
    EVENT_TYPES,
    Contradicted,
    Created,
    Event,
    Expired,
    Retried,
    Started,
    parse_data,
)
from jobledger.domain.job import Job, evolve, judge, replay
from jobledger.domain.states import (
    ABSENT,
    DELETED,
    EVALUATION,
    JobState,
    Stage,
    allowed,
    begins_attempt,
    ends_lost,
    state_after,
)

LIVE = "QUEUED PENDING RUNNING CANCELLING PAUSED UPDATING"
TERMINAL = "SUCCEEDED FAILED CANCELLED EXPIRED PARTIALLY_SUCCEEDED"
MAY_FOLLOW = {
    "Created": "ABSENT",
    "Queued": "QUEUED PENDING",
    "Preparing": "QUEUED",
    "Started": "QUEUED PENDING",
    "Updating": "RUNNING",
    "Updated": "UPDATING",
    "Paused": "QUEUED PENDING RUNNING",
    "Resumed": "PAUSED",
    "Cancelling": "QUEUED PENDING RUNNING PAUSED UPDATING",
    "Cancelled": LIVE,
    "Succeeded": "QUEUED PENDING RUNNING CANCELLING UPDATING",
    "PartiallySucceeded": "QUEUED PENDING RUNNING UPDATING",
    "Failed": LIVE,
    "Expired": "QUEUED PENDING RUNNING PAUSED UPDATING",
    "Retried": TERMINAL,
    "ProgressReported": LIVE,
    "LabelsChanged": f"{LIVE} {TERMINAL}",
    "ConfigChanged": LIVE,
    "PolicyChanged": f"{LIVE} {TERMINAL}",
    "Commented": f"{LIVE} {TERMINAL}",
    "Contradicted": f"{LIVE} {TERMINAL} DELETED",
    "Deleted": TERMINAL,
}
BEGINS_ATTEMPT = {
    "Queued": "RUNNING UPDATING",
    "Preparing": "RUNNING UPDATING",
    "Retried": "RUNNING UPDATING",
}
RENEWABLE = f"QUEUED PENDING RUNNING PAUSED UPDATING {TERMINAL}"
BEGINS_NAMED_ATTEMPT = dict.fromkeys(("Queued", "Preparing", "Started", "Retried"), RENEWABLE)
EVALUATION_MAY_FOLLOW = MAY_FOLLOW | {
    "RunStarted": "QUEUED RUNNING",
    "DatasetCreated": "RUNNING PAUSED",
    "LabelingRequested": "RUNNING PAUSED",
    "LabelingCompleted": "RUNNING PAUSED",
    "EvaluationCreated": "RUNNING PAUSED",
    "RunFailed": "RUNNING PAUSED",
    "AlertRaised": LIVE,
    "Scheduled": "RUNNING",
    "Stopped": LIVE,
}
TABLES = {"jobs": MAY_FOLLOW, "evaluationJobs": EVALUATION_MAY_FOLLOW}
STAGES: tuple[Stage, ...] = (ABSENT, *JobState, DELETED)
AT = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES, ids=lambda s: s.name)
@pytest.mark.parametrize("event", EVENT_TYPES)
@pytest.mark.parametrize("kind", TABLES)
def test_an_event_may_follow_just_the_states_the_design_names(
    event: str, stage: Stage, kind: str
) -> None:
    may_follow = TABLES[kind].get(event, "").split()
    assert allowed(event, stage, kind) == (stage.name in may_follow)


@pytest.mark.slow
@pytest.mark.parametrize("event", EVENT_TYPES)
@pytest.mark.parametrize("kind", TABLES)
def test_an_event_may_begin_an_attempt_after_just_these_states(event: str, kind: str) -> None:
    for stage in STAGES:
        for named, table in ((False, BEGINS_ATTEMPT), (True, BEGINS_NAMED_ATTEMPT)):
            states = table.get(event, "").split() if kind == "jobs" else []
            assert begins_attempt(event, stage, kind, named=named) == (stage.name in states)


def test_every_event_has_a_rule_and_every_rule_an_event() -> None:
    assert EVENT_TYPES.keys() == EVALUATION.keys()


def test_states_are_those_of_vertex_ai() -> None:
    names = (
        "QUEUED PENDING RUNNING SUCCEEDED FAILED CANCELLING CANCELLED PAUSED EXPIRED UPDATING"
        " PARTIALLY_SUCCEEDED"
    )
    assert {s.name: s.value for s in JobState} == {n: i for i, n in enumerate(names.split(), 1)}


@pytest.mark.slow
@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("event", sorted(EVENT_TYPES.keys() - {"Contradicted"}))
def test_a_report_is_kept_as_it_is_or_as_contradicted(event: str, state: JobState) -> None:
    job = Job(name="projects/p/jobs/j", version=1, state=state)
    report = _report(event, worker="w1")

    (recorded,) = judge(report, job, past=[Event(job.name, 1, Expired(), AT)])
    after = evolve(job, Event(job.name, 2, recorded, AT))

    if allowed(event, state):
        assert recorded is report
        assert after.state is (state_after(event) or state)
    elif begins_attempt(event, state, named=False):
        began = {} if event == "Retried" else {"attemptsBegun": 1, "attempt": 2}
        assert recorded.json_object() == report.json_object() | began
        assert after.state is state_after(event)
        assert after.attempt == 2
    else:
        assert recorded == Contradicted(report=event, state=state.name, data=report.json_object())
        assert after.state is state
    assert after.version == 2


@pytest.mark.slow
@pytest.mark.parametrize("event", sorted(EVENT_TYPES.keys() - {"Contradicted"}))
@pytest.mark.parametrize("lost", [True, False])
def test_a_late_end_replaces_the_expiry_of_a_lost_attempt(event: str, lost: bool) -> None:
    facts = (Created(), Started(run_id="r"), Expired(lost=lost))
    past = [Event("projects/p/jobs/j", n, fact, AT) for n, fact in enumerate(facts, 1)]
    job = replay(Job(name="projects/p/jobs/j"), past)
    report = _report(event, runId="r")

    if ends_lost(event, JobState.EXPIRED):
        with pytest.raises(PastNeededError):
            judge(report, job)
    (recorded,) = judge(report, job, past=past)
    after = evolve(job, Event(job.name, 4, recorded, AT))

    ends = event in ("Succeeded", "PartiallySucceeded", "Failed", "Cancelled")
    if lost and ends:
        assert recorded is report
        assert (after.state, after.attempt) == (state_after(event), 1)
        # Only once: what is known now was seen.
        (again,) = judge(report, after, past=[*past, Event(job.name, 4, recorded, AT)])
        assert isinstance(again, Contradicted)
    elif ends:
        assert isinstance(recorded, Contradicted)


def test_only_an_end_of_the_lost_attempt_replaces_the_expiry() -> None:
    facts = (Created(), Started(run_id="r"), Retried(run_id="s"), Started(), Expired(lost=True))
    past = [Event("projects/p/jobs/j", n, fact, AT) for n, fact in enumerate(facts, 1)]
    job = replay(Job(name="projects/p/jobs/j"), past)
    (recorded,) = judge(parse_data("Succeeded", {"runId": "r"}), job, past=past)
    assert isinstance(recorded, Contradicted)


def _report(event: str, **report: str) -> Data:
    needed = {"run": 1, "runTime": "2026-06-01T10:00:00Z", "attemptTime": "2026-06-01T10:00:00Z"}
    fields = {field.alias for field in EVENT_TYPES[event].model_fields.values()}
    return parse_data(event, report | {key: needed[key] for key in needed if key in fields})
