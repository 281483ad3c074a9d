"""Reports from several clocks: skewed, late, repeated and reordered, on both clocks and in every fold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain.data import Data
from jobledger.domain.errors import JobNotFoundError
from jobledger.domain.events import Event, parse_data, placement_of
from jobledger.domain.job import Job, fold, judge, project_job, recorded
from jobledger.domain.order import in_effect
from jobledger.domain.states import JobState, Stage, allowed, begins_attempt, leads_to
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import AtPosition, AtTime, Clock
from jobledger.infra import Ledger
from jobledger.infra.analytics.analysis import report
from jobledger.infra.eventstore.write_path import ReportedEvent
from jobledger.infra.history.counts.state_counts import Extent, series
from jobledger.infra.history.explain import why
from jobledger.infra.history.timeline import steps_as_of
from jobledger.infra.transfer.exports.export import Format, export
from jobledger.infra.transfer.exports.selection import Selection
from jobledger.infra.transfer.imports.read_export import open_history
from jobledger.infra.upkeep.rebuild import rebuild
from jobledger.infra.upkeep.verify import verify
from jobledger.projections.catalogue import PROJECTIONS

from tests.clocks import taken
from tests.ledgers import application_of, fresh_ledger
from tests.read.test_past import as_of, listed, states
from tests.state_pages import FILTERS, check_pages

NAME = "projects/p/jobs/x"
BEGIN = datetime(2026, 6, 1, 10, tzinfo=UTC)
TYPES = (
    "Queued", "Preparing", "Started", "Started", "Paused", "Resumed", "Cancelling", "Cancelled",
    "Succeeded", "Failed", "Expired", "Retried", "ProgressReported", "LabelsChanged",
    "ConfigChanged", "Updating", "Updated", "Deleted",
)  # fmt: skip


def minute(number: float) -> datetime:
    return BEGIN + timedelta(minutes=number)


def said(type_: str, number: int) -> Data:
    """Returns a report of that type, with a number to distinguish it."""
    of_type: dict[str, JsonObject] = {
        "Started": {"worker": f"w{number}"},
        "Failed": {"error": {"code": 3, "message": f"m{number}"}},
        "Cancelling": {"reason": f"r{number}"},
        "Succeeded": {"output": {"n": number}},
        "ProgressReported": {"output": {"n": number}},
        "LabelsChanged": {"labels": {"n": str(number)}},
        "ConfigChanged": {"spec": {"n": number}},
    }
    return parse_data(type_, of_type.get(type_, {}))


class Told(NamedTuple):
    """A report as it is delivered."""

    data: Data
    at: datetime


@st.composite
def deliveries(draw: st.DrawFn) -> list[Told]:
    """A life that was possible, each event told by one of three clocks, in another order, and some twice."""
    skews = [0.0, *draw(st.lists(st.sampled_from([-4, -0.5, 0.5, 4]), min_size=2, max_size=2))]
    stage, life = JobState.QUEUED, list[Told]()
    for number in range(draw(st.integers(1, 9))):
        possible = sorted({t for t in TYPES if allowed(t, stage)})
        type_ = draw(st.sampled_from(possible if draw(st.integers(0, 5)) else TYPES))
        entered = leads_to(type_)
        stage = stage if not isinstance(entered, JobState) else entered
        at = minute(1 + 2 * number + draw(st.sampled_from(skews)))
        life.append(Told(said(type_, number), max(at, BEGIN - timedelta(minutes=1))))
    order = draw(st.permutations(range(len(life)))) if draw(st.booleans()) else range(len(life))
    expected = [life[n] for n in order]
    twice = draw(st.lists(st.sampled_from(expected), max_size=2))
    return [*expected, *twice]


def judged(job: Job, past: list[Event], expected: Told) -> list[Event]:
    """What is recorded of a report on a job with that past."""
    facts = judge(expected.data, job, at=expected.at, past=past)
    return [Event(job.name, job.version + n, fact, expected.at) for n, fact in enumerate(facts, 1)]


def may_follow(event: Event, stage: Stage) -> bool:
    """Whether the table lets the event, as it is recorded, follow that state."""
    begins = getattr(event.data, "attempts_begun", 0) > 0
    again = begins and begins_attempt(event.type, stage, "jobs", named=True)
    return again or allowed(event.type, stage)


@pytest.mark.slow
@given(deliveries())
@settings(deadline=None, max_examples=300)
def test_each_fold_of_a_job_is_the_same_and_its_life_is_possible(delivered: list[Told]) -> None:
    past = [Event(NAME, 1, parse_data("Created", {}), BEGIN)]
    job = fold(Job(name=NAME), past)
    for expected in delivered:
        before = job
        for event in judged(job, past, expected):
            job = recorded(job, event, past)
            past.append(event)
            assert fold(Job(name=NAME), past) == job == project_job(None, past)
            placement = placement_of(event.data)
            if placement is not None and not placement.latest:
                assert job.state is before.state
                assert job.end_time == before.end_time
    stage = Job(name=NAME).stage
    for event in in_effect(past):
        if event.type != "Contradicted":
            assert may_follow(event, stage)
            stage = leads_to(event.type) or stage


@pytest.mark.slow
@given(deliveries())
@settings(deadline=None, max_examples=300)
def test_what_was_allowed_in_the_order_it_was_recorded_keeps_its_order(
    delivered: list[Told],
) -> None:
    past = [Event(NAME, 1, parse_data("Created", {}), BEGIN)]
    job = fold(Job(name=NAME), past)
    for expected in delivered:
        was_allowed = allowed(type(expected.data).__name__, job.stage)
        entered = leads_to(type(expected.data).__name__)
        for event in judged(job, past, expected):
            job = recorded(job, event, past)
            past.append(event)
        if was_allowed and isinstance(entered, JobState):
            assert job.state is entered
            entries = [e for e in in_effect(past) if leads_to(e.type) is not None]
            assert entries[-1] is past[-1]


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(deliveries(), min_size=1, max_size=4), st.integers(0, 1_000), st.booleans())
def test_both_clocks_agree_with_the_events_at_every_moment(
    dsn: str, lives: list[list[Told]], shuffle: int, today: bool
) -> None:
    """Also where some reporters' clocks are ahead of the server's, today."""
    random = Random(shuffle)
    shift = datetime.now(UTC) - minute(8) if today else timedelta()
    with fresh_ledger(dsn) as ledger:
        queues = {
            f"projects/p{n % 2}/jobs/j{n}": [Told(data, at + shift) for data, at in life]
            for n, life in enumerate(lives)
        }
        for name in queues:
            ledger.create(name, {"n": "c"}, occurred_time=BEGIN + shift)
        answers = [answer(ledger)]
        while queues:
            name = random.choice(sorted(queues))
            expected = queues[name].pop(0)
            if random.random() < 0.2:
                ledger.report_many(
                    [ReportedEvent(name, expected.data, {"occurred_time": expected.at})]
                )
            else:
                ledger.report(name, expected.data, occurred_time=expected.at)
            answers.append(answer(ledger))
            if random.random() < 0.3:
                ledger.count(as_of="now")  # Intervals follow up to here.
            queues = {name: queue for name, queue in queues.items() if queue}
        check_all(ledger, answers, random)
        with ledger.connection() as connection:
            for projection in PROJECTIONS:
                rebuild(connection, projection)
        check_all(ledger, answers, random)


class Answer(NamedTuple):
    """All jobs as they were known after a position."""

    position: int
    jobs: dict[str, Job]
    counts: dict[str | None, int]


def answer(ledger: Ledger) -> Answer:
    jobs = {job.name: job for job in ledger.list()}
    return Answer(ledger.size(), jobs, ledger.count("state", 'state : "*"').counts)


def check_all(ledger: Ledger, answers: list[Answer], random: Random) -> None:
    events = list(ledger.events(follow=False))
    with ledger.connection() as connection:
        assert verify(connection).findings == []
    for position, jobs, counts in answers:
        assert listed(ledger, AtPosition(position)) == jobs == as_of(events, position)
        assert ledger.count(as_of=AtPosition(position)).counts == counts == states(jobs)
    times = [time for time, _ in taken(events)]
    # From the last event on, the job is the same on all clocks.
    for time in (max(times), ledger.moment(None).time):
        assert listed(ledger, AtTime(time, Clock.OCCURRED)) == answers[-1].jobs
        assert ledger.count(as_of=time).counts == answers[-1].counts
    for position in {answers[-1].position, random.choice(answers).position}:
        for time in {min(times) - timedelta(minutes=2), *random.sample(times, min(4, len(times)))}:
            check_moment(ledger, events, AtTime(time, Clock.OCCURRED, position))

    position = random.choice(answers).position
    for at_ in (AtPosition(position), AtTime(random.choice(times), Clock.OCCURRED, position)):
        check_pages(ledger, at_, random.sample([*FILTERS], 2))


def check_moment(ledger: Ledger, events: list, at: AtTime) -> None:  # type: ignore[type-arg]
    assert at.known is not None
    then = as_of(events, at.known, at.time)
    assert listed(ledger, at) == then
    assert ledger.count("state", 'state : "*"', as_of=at).counts == states(then)
    assert ledger.count(as_of=at).counts == states(then)
    moment = ledger.moment(at)
    for name, job in then.items():
        assert ledger.get(name, as_of=at) == job
        steps = steps_as_of(ledger.reader, name, moment)
        assert steps[-1].after == job
    drawn = series(ledger.reader, moment, Extent(at.time, at.time + timedelta(minutes=3)))
    for n in (0, -1):
        # What is drawn at a time is what was there before it.
        then = as_of(events, at.known, drawn.times[n] - timedelta(microseconds=1))
        shown = {state: counts[n] for state, counts in drawn.counts.items() if counts[n]}
        assert shown == states(then)


def at(minutes: float) -> datetime:
    return datetime(2024, 1, 1, 10, tzinfo=UTC) + timedelta(minutes=minutes)


def test_an_end_that_occurred_before_the_start_ends_the_job(ledger: Ledger) -> None:
    ledger.create(NAME, occurred_time=at(0))
    ledger.started(NAME, occurred_time=at(5))
    ledger.succeeded(NAME, occurred_time=at(5) - timedelta(milliseconds=1))
    assert ledger.get(NAME) == ledger.get(NAME, clock="occurred")
    assert ledger.get(NAME).start_time == at(5)
    assert ledger.list("state = RUNNING", clock="occurred") == []
    assert ledger.count(as_of=at(6)).counts == {"SUCCEEDED": 1}
    running = report(ledger.reader, "concurrency", begin=str(at(0)), end=str(at(60)), bucket="1m")
    assert {row[-1] for row in running.rows} <= {0}


def test_a_fast_clock_does_not_hide_the_state_of_a_job(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    ledger.create(NAME)
    started = ledger.started(NAME, {"worker": "w"}, occurred_time=now + timedelta(hours=2))
    ended = ledger.succeeded(NAME, occurred_time=now)
    assert started.start_time is not None
    assert started.start_time < now + timedelta(hours=1)
    for clock in Clock:
        assert ledger.get(NAME, clock=clock) == ledger.get(NAME) == ended
        assert ledger.count(clock=clock).counts == {"SUCCEEDED": 1}
    message = why(ledger.reader, NAME, ledger.moment(None))
    assert "its reporter's clock runs ahead" in message.reasons[1].sentence
    assert message.clocks[0].flag == "runs ahead"
    assert "the clock of w runs 1 h 59 min ahead" in message.conclusion


def test_nothing_exists_before_it_is_created(ledger: Ledger) -> None:
    ledger.create(NAME)
    ledger.succeeded(NAME)
    ledger.started(NAME, occurred_time=at(0))
    ledger.started(NAME, occurred_time=at(0).replace(year=2018))
    for time in (at(1), at(0).replace(year=2019)):
        assert ledger.list(as_of=time) == []
        assert ledger.count(as_of=time).counts == {}
        with pytest.raises(JobNotFoundError):
            ledger.get(NAME, as_of=time)


def test_late_reports_are_placed_at_their_valid_time(ledger: Ledger) -> None:
    ledger.create(NAME, occurred_time=at(0))
    ledger.succeeded(NAME, {"n": 0}, occurred_time=at(30))
    known = ledger.get(NAME)
    ledger.started(NAME, {"worker": "w1"}, occurred_time=at(5))
    ledger.progress_reported(NAME, {"n": 1}, occurred_time=at(10))
    ledger.labels_changed(NAME, {"a": "b"}, occurred_time=at(15))
    ledger.change_labels(NAME, {"a": "c"}, occurred_time=at(20))
    job = ledger.get(NAME)
    assert (job.state, job.start_time, job.end_time) == (JobState.SUCCEEDED, at(5), at(30))
    assert (job.output, job.labels) == ({"n": 0}, {"a": "c"})
    assert job == ledger.get(NAME, clock="occurred")
    assert ledger.get(NAME, as_of="@2") == ledger.get(NAME, as_of="v2") == known
    then = ledger.get(NAME, as_of=at(12))
    assert (then.state, then.output, then.labels) == (JobState.RUNNING, {"n": 1}, {})
    assert ledger.get(NAME, as_of=at(16)).labels == {"a": "b"}
    assert [e.state.name for e in ledger.history(NAME) if e.state] == ["QUEUED", *["SUCCEEDED"] * 5]
    message = why(ledger.reader, NAME, ledger.moment(None))
    assert (
        "it came late, and was put where it happened, after version 1"
        in message.reasons[2].sentence
    )


def test_the_error_of_a_late_end_is_its_own(ledger: Ledger) -> None:
    ledger.create(NAME, occurred_time=at(0))
    ledger.started(NAME, run_id="a", occurred_time=at(5))
    ledger.started(NAME, run_id="b", occurred_time=at(20))
    ledger.started(NAME, run_id="c", occurred_time=at(30))
    ledger.failed(NAME, "out of memory", run_id="a", occurred_time=at(10))
    ledger.cancelled(NAME, "by ada", run_id="b", occurred_time=at(25))
    ledger.failed(NAME, "the last error", run_id="c", occurred_time=at(40))
    sentences = [each.sentence for each in why(ledger.reader, NAME, ledger.moment(None)).reasons]
    assert "UTC: out of memory;" in sentences[4]
    assert "UTC: by ada (code 1);" in sentences[5]
    assert "UTC: the last error;" in sentences[6]


def test_a_late_report_without_a_valid_place_is_contradicted(ledger: Ledger) -> None:
    ledger.create(NAME, occurred_time=at(0))
    ledger.started(NAME, occurred_time=at(5))
    ledger.succeeded(NAME, occurred_time=at(30))
    for type_ in ("Started", "Preparing", "Paused", "Failed", "Succeeded", "Resumed"):
        (event,) = ledger.report(NAME, said(type_, 1), occurred_time=at(30)).events
        assert event.type == "Contradicted"
    assert ledger.get(NAME, as_of=at(29)).state is JobState.RUNNING


def test_of_two_events_of_one_second_the_late_one_may_have_been_first(ledger: Ledger) -> None:
    ledger.create(NAME, occurred_time=at(0))
    ledger.succeeded(NAME, occurred_time=at(5))
    ledger.started(NAME, occurred_time=at(5))
    assert ledger.get(NAME).start_time == at(5)
    assert ledger.get(NAME, as_of=at(5)).state is JobState.SUCCEEDED


def test_the_same_request_is_answered_again_though_it_came_late(ledger: Ledger) -> None:
    ledger.create(NAME, occurred_time=at(0))
    ledger.succeeded(NAME, occurred_time=at(30))
    first = ledger.report(NAME, said("Started", 1), occurred_time=at(5), request_id="r")
    assert ledger.report(NAME, said("Started", 1), occurred_time=at(5), request_id="r") == first
    assert ledger.size() == 3


@pytest.mark.slow
def test_late_reports_come_with_an_exported_history(
    dsn: str, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.create(NAME, occurred_time=at(0))
    ledger.succeeded(NAME, occurred_time=at(30))
    ledger.started(NAME, occurred_time=at(5))
    wanted = Selection(ledger.name, ledger.moment(at(60)), NAME)
    export(ledger.reader, wanted, Format.JSONL, tmp_path / "h")
    assert open_history(tmp_path / "h", NAME).get()[0] == ledger.get(NAME)
    export(ledger.reader, wanted, Format.PERFETTO, tmp_path / "p")
    drawn = orjson.loads((tmp_path / "p").read_bytes())["traceEvents"]
    assert [e["name"] for e in drawn if e["ph"] != "M"] == [
        "attempt 1", "QUEUED", "RUNNING", "SUCCEEDED",
    ]  # fmt: skip
    events = [event.event for event in ledger.events(follow=False)]
    for chunks in ([events], [events[:2], events[2:]]):
        with fresh_ledger(dsn) as other, application_of(dsn, other) as application:
            for chunk in chunks:
                application.append_many(chunk)
            assert other.get(NAME) == ledger.get(NAME)
            with other.connection() as connection:
                assert verify(connection).findings == []
