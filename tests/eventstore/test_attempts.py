"""Attempts: reports that begin one, reports on earlier ones, and what is recorded of both."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain import attempts
from jobledger.domain import events as e
from jobledger.domain.attempts import MAX_RUN_IDS, remembered
from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import EVENT_TYPES, Event, parse_data
from jobledger.domain.job import Job, evolve, fold, judge, replay
from jobledger.domain.states import EVALUATION_JOBS, TERMINAL, JobState, state_after
from jobledger.infra import Ledger
from jobledger.infra.eventstore.stored_event import Row, row_of
from jobledger.infra.eventstore.writes.decided_write import DecidedWrite
from jobledger.infra.history.explain import why
from jobledger.infra.transfer.exports.perfetto import attempts as drawn_attempts
from jobledger.infra.upkeep.rebuild import rebuild
from jobledger.infra.upkeep.verify import verify
from jobledger.infra.web.job_page.bands import attempt_ends
from jobledger.infra.web.job_page.history import read_outline
from jobledger.projections.catalogue import PROJECTIONS

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
NAME = "projects/p/jobs/train_1"
S = JobState
_names = count()


def after(*reports: Data, job: Job | None = None) -> Job:
    """The job once these were reported, a minute apart."""
    past = [] if job else [Event(NAME, 1, e.Created(), BEGIN)]
    job = job or evolve(Job(name=NAME), past[0])
    for report in reports:
        at = BEGIN + timedelta(minutes=job.version)
        for fact in judge(report, job, at, past):
            past.append(Event(job.name, job.version + 1, fact, at))
            job = evolve(job, past[-1])
    return job


def said(type_: str, **data: Any) -> Data:
    return parse_data(type_, data)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reports", "state", "attempt"),
    [
        # Slurm: PENDING again after RUNNING.
        ((said("Started"), said("Queued", reason="REQUEUED")), S.QUEUED, 2),
        ((said("Started"), said("Queued"), said("Preparing"), said("Started")), S.RUNNING, 2),
        ((said("Started"), said("Updating"), said("Queued")), S.QUEUED, 2),
        # An evicted pod is made again.
        ((said("Started", runId="pod-a"), said("Preparing", runId="pod-b")), S.PENDING, 2),
        ((said("Started", runId="pod-a"), said("Started", runId="pod-b")), S.RUNNING, 2),
        # Airflow: up_for_retry, then the next try.
        ((said("Started", attempt=1), said("Retried"), said("Started", attempt=2)), S.RUNNING, 2),
        ((said("Started", attempt=1), said("Failed", attempt=1), said("Started", attempt=2)), S.RUNNING, 2),
        # The same start, said twice; by its id, or without one.
        ((said("Started"), said("Started")), S.RUNNING, 1),
        ((said("Started", worker="a"), said("Started", pid=7)), S.RUNNING, 1),
        ((said("Started", attempt=1), said("Started", attempt=1)), S.RUNNING, 1),
        ((said("Started", runId="a"), said("Started", runId="a"), said("Started")), S.RUNNING, 1),
        ((said("Started", attempt="a"), said("Started", attempt="b"), said("Started", attempt="b")), S.RUNNING, 2),
        ((said("Started", runId=17), said("Started", runId="17")), S.RUNNING, 1),
        ((said("Started", runId="a"), said("Queued", runId="a")), S.RUNNING, 1),
        # Attempt 2 was never reported, and of attempt 3 only its end.
        ((said("Started"), said("Started", attempt=3)), S.RUNNING, 3),
        ((said("Started"), said("Failed", attempt=3)), S.FAILED, 3),
        ((said("Started", runId="a"), said("Succeeded", runId="b")), S.SUCCEEDED, 2),
        ((said("Started", runId="a"), said("Failed", runId="b"), said("Started", runId="b")), S.FAILED, 2),
        # Late, on an attempt before.
        ((said("Started"), said("Queued"), said("Started"), said("Failed", attempt=1)), S.RUNNING, 2),
        ((said("Started", runId="a"), said("Started", runId="b"), said("Failed", runId="a")), S.RUNNING, 2),
        ((said("Started", runId="a"), said("Queued"), said("Started", runId="a")), S.QUEUED, 2),
        ((said("Failed"), said("Retried", attempt=2), said("Failed"), said("Retried", attempt=2)), S.FAILED, 2),
        # An ended job begins again only by a named attempt, not by a late start.
        ((said("Started"), said("Failed"), said("Started")), S.FAILED, 1),
        ((said("Failed"), said("Started", runId="b")), S.RUNNING, 2),
        ((said("Started", runId="a"), said("Failed"), said("Queued", runId="b")), S.QUEUED, 2),
        # Nor by one of the run that ended, which no start named.
        ((said("Succeeded", runId="a"), said("Started", runId="a")), S.SUCCEEDED, 1),
        ((said("Succeeded", runId="a"), said("Started", runId="b")), S.RUNNING, 2),
        # A job that is being cancelled is never sent back.
        ((said("Started"), said("Cancelling"), said("Started", attempt=2)), S.CANCELLING, 1),
        # Invalid names of attempts are ignored.
        ((said("Started", attempt=0), said("Started", attempt=-1), said("Failed", attempt=True)), S.FAILED, 1),
        ((said("Started"), said("ProgressReported", attempt=2)), S.RUNNING, 2),
        ((said("Started"), said("LabelsChanged", attempt=2)), S.RUNNING, 1),
    ],
)  # fmt: skip
def test_a_report_is_assigned_to_an_attempt(
    reports: Sequence[Data], state: JobState, attempt: int
) -> None:
    job = after(*reports)
    assert (job.state, job.attempt) == (state, attempt)


def test_a_late_report_does_not_send_the_job_back() -> None:
    past = [
        Event(NAME, v, data, BEGIN + timedelta(minutes=v))
        for v, data in enumerate((e.Created(), e.Started()), 1)
    ]
    job = replay(Job(name=NAME), past)
    for report in (e.Queued(), e.Preparing(), e.Retried()):
        (kept,) = judge(report, job, past[0].occurred_time, past)
        # Placed at its time if it may follow Created; never as a new attempt.
        assert isinstance(kept, e.Contradicted if isinstance(report, e.Retried) else type(report))
        late = Event(NAME, 3, kept, past[0].occurred_time)
        assert fold(Job(name=NAME), [*past, late]).attempt == 1
        assert judge(report, job) != (kept,)


def test_a_new_attempt_has_no_output_and_keeps_the_first_start() -> None:
    job = after(e.Started(), said("ProgressReported", output={"step": 5}))
    again = after(e.Queued(), e.Started(), job=job)
    assert (again.output, again.end_time) == (None, None)
    assert again.start_time == job.start_time


def test_fields_that_the_ledger_decides_are_corrected_in_reports() -> None:
    job = after(e.Started())
    (queued,) = judge(said("Queued", attemptsBegun=7), job)
    assert queued.json_object() == {"attempt": 2, "attemptsBegun": 1}
    (retried,) = judge(said("Retried", attemptsBegun=0), after(e.Failed(), job=job))
    assert retried.json_object() == {"attempt": 2}


def test_evaluation_jobs_have_runs_and_no_attempts() -> None:
    job = Job(name=f"projects/p/{EVALUATION_JOBS}/7")
    job = evolve(job, Event(job.name, 1, e.Created(), BEGIN))
    assert after(e.Started(), said("Queued"), said("Started", attempt=2), job=job).attempt == 1


IDS = st.none() | st.sampled_from([f"r{n}" for n in range(120)])


@pytest.mark.slow
@given(st.lists(st.tuples(IDS, st.integers(0, 1)), max_size=300))
def test_the_latest_run_ids_are_remembered(named: list[tuple[str | None, int]]) -> None:
    run_ids: attempts.RunIds = ()
    for run_id, begun in named:
        run_ids = remembered(run_ids, run_id, begun)
    spoken = [run_id for run_id, begun in named if run_id or begun]
    latest = list(dict.fromkeys(run_id for run_id in reversed(spoken) if run_id))[:MAX_RUN_IDS]
    bare = bool(latest) and spoken[-1] is None
    assert run_ids == (*reversed(latest), *([None] if bare else []))


OF_ATTEMPTS = sorted({cls.__name__ for cls in attempts.OF_AN_ATTEMPT})
NAMING = st.fixed_dictionaries(
    {}, optional={"attempt": st.integers(0, 4) | st.sampled_from("ab"), "runId": st.sampled_from("abcd")}
)  # fmt: skip
MANY_REPORTS = st.lists(
    st.tuples(st.sampled_from(OF_ATTEMPTS), NAMING, st.integers(0, 30)), min_size=1, max_size=25
)


def assert_sound(ledger: Ledger) -> None:
    with ledger.connection() as connection:
        assert verify(connection).findings == []
        rebuild(connection, PROJECTIONS[0])
        assert verify(connection).findings == []


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(MANY_REPORTS)
def test_any_reports_of_attempts_are_folded_alike_in_python_and_sql(
    ledger: Ledger, reports: list[tuple[str, dict[str, Any], int]]
) -> None:
    name = f"projects/p/jobs/a{next(_names)}"
    ledger.create(name, occurred_time=BEGIN)
    for type_, naming, minutes in reports:
        before = ledger.get(name)
        at = BEGIN + timedelta(minutes=minutes)
        job, events = ledger.report(name, said(type_, **naming), occurred_time=at)
        assert job.attempt >= before.attempt
        assert sum(event.attempts_begun for event in events) == job.attempt - before.attempt
        contradicted = [event for event in events if event.type == "Contradicted"]
        assert events[-1].type in (type_, "Contradicted")
        if contradicted:
            assert (job.state, job.attempt) == (before.state, before.attempt)
            assert events[0].json["report"] == type_
            assert naming.items() <= events[0].json.get("data", {}).items()
        number = naming.get("attempt")
        placed = events[0].placed_after is not None
        if isinstance(number, int) and 0 < number < before.attempt:
            assert contradicted or placed, (
                "a report on an earlier attempt does not touch the current one"
            )
        if isinstance(number, int) and number > 0 and not contradicted and not placed:
            assert job.attempt == number + (type_ == "Retried" and before.attempt == number)

    history = [event.event for event in ledger.history(name)]
    assert fold(Job(name=name), history) == ledger.get(name)
    for event in ledger.history(name):
        then = fold(Job(name=name), history[: event.version])
        assert ledger.get(name, as_of=f"v{event.version}") == then
    assert_sound(ledger)


def test_data_stored_under_the_first_schema_folds_as_it_did(ledger: Ledger) -> None:
    """Events whose data had, by chance, the names that mean something now."""
    odd = {"attemptsBegun": 5, "runId": "x", "attempt": 3}
    types = ["Created", "Preparing", "Queued", "Started", "Failed", "Retried", "Started"]
    rows, events = [], []
    for version, type_ in enumerate(types, 1):
        data = e.read_data(type_, 1, b'{"attempt":3,"attemptsBegun":5,"runId":"x"}')
        event = Event(NAME, version, data, BEGIN + timedelta(minutes=version))
        row = row_of(event, said("ProgressReported", **odd).encode())
        first = re.sub(rb'"schema":\d', b'"schema":1', row.json)
        rows.append(Row(NAME, version, first))
        events.append(event)
    ledger.submit(DecidedWrite(rows, events))

    assert (ledger.get(NAME).attempt, ledger.get(NAME).run_ids) == (2, ())
    assert [event.schema for event in ledger.history(NAME)] == [1] * len(types)
    assert [event.attempts_begun for event in ledger.history(NAME)] == [0, 0, 0, 0, 0, 1, 0]
    assert_sound(ledger)


def test_attempts_are_named_by_keyword(ledger: Ledger) -> None:
    ledger.create(NAME)
    ledger.started(NAME, run_id="a")
    ledger.started(NAME, attempt=2, run_id="b")
    assert ledger.failed(NAME, "x", run_id="a").state is S.RUNNING
    assert ledger.history(NAME)[-1].json["data"]["runId"] == "a"
    assert ledger.succeeded(NAME, attempt=2).state is S.SUCCEEDED
    for wrong in ({"attempt": 0}, {"attempt": "2"}, {"attempt": True}, {"run_id": ""}):
        with pytest.raises(InvalidFieldError, match=next(iter(wrong))):
            ledger.progress_reported(NAME, **wrong)
    with pytest.raises(TypeError, match="attempt"):
        ledger.retry(NAME, attempt=2)  # type: ignore[call-arg]


def test_a_repeated_request_begins_one_attempt(ledger: Ledger) -> None:
    ledger.create(NAME)
    ledger.started(NAME)
    first = ledger.queued(NAME, request_id="r1")
    ledger.started(NAME)
    assert ledger.queued(NAME, request_id="r1") == first
    assert ledger.get(NAME).attempt == 2


def test_a_scheduler_that_reports_many_at_once_is_understood(ledger: Ledger) -> None:
    from jobledger.infra.eventstore.write_path import ReportedEvent as Report

    ledger.create(NAME)
    reports = [
        Report(NAME, e.Started(), {"run_id": "a"}),
        Report(NAME, e.Queued(), {"run_id": "b"}),
        Report(NAME, e.Failed(), {"run_id": "a"}),
        Report(NAME, e.Started(), {"run_id": "b"}),
    ]
    ledger.report_many(reports)
    assert [event.type for event in ledger.history(NAME)] == [
        "Created", "Started", "Queued", "Contradicted", "Started",
    ]  # fmt: skip
    assert (ledger.get(NAME).attempt, ledger.get(NAME).run_ids) == (2, ("a", "b"))


def test_attempts_are_shown_where_they_began(ledger: Ledger) -> None:
    ledger.create(NAME, occurred_time=BEGIN)
    for minute, (report, attempt) in enumerate(
        [("Started", 1), ("Queued", 2), ("Started", 2), ("Started", 4), ("Failed", 3), ("Succeeded", 4)], 1
    ):  # fmt: skip
        at = BEGIN + timedelta(minutes=minute)
        ledger.report(NAME, said(report), attempt=attempt, occurred_time=at)
    from jobledger.domain.values.moments import Clock

    assert attempt_ends(read_outline(ledger.reader, NAME, Clock.RECORDED, None)) == [2, 4, 4, 7]
    assert len(drawn_attempts(ledger.history(NAME))) == 3
    body = [
        reason.sentence
        for reason in why(ledger.reader, NAME, ledger.moment("now", "recorded")).reasons
    ]
    assert "it was sent back, and attempt 2 begins" in body[2]
    assert "attempt 4 begins" in body[4]
    assert body[5].startswith("Failed of attempt 3 was reported")


def test_states_that_can_begin_again_are_all_but_one() -> None:
    for state in JobState:
        job = Job(name=NAME, version=1, state=state)
        (fact, *_) = judge(said("Started", attempt=2), job)
        assert isinstance(fact, e.Contradicted) == (state is S.CANCELLING)
    assert {type_ for type_ in EVENT_TYPES if state_after(type_) in TERMINAL} >= {"Failed"}
