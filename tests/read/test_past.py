"""Jobs as of any moment, compared with a fold of the events that is written here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.events import Created, Event, Started
from jobledger.domain.job import Job, replay
from jobledger.domain.states import JobState
from jobledger.domain.values.moments import AtPosition, AtTime, AtVersion, Clock, Moment
from jobledger.infra import Ledger
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.read.lists.job_lists import JobLists
from jobledger.infra.read.lists.list_sql import Query
from jobledger.infra.upkeep.verify import verify

from tests.clocks import taken
from tests.command_line import Cli
from tests.forms import Opener
from tests.ledgers import application_of, fresh_ledger
from tests.projections.test_folds import BEGIN, histories
from tests.state_pages import check_pages
from tests.traces import Answer

NAME = "projects/p/jobs/x"
AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


def as_of(
    events: Iterable[RecordedEvent], position: int, time: datetime | None = None
) -> dict[str, Job]:
    """Every job as its events up to then make it: those that took effect by a time, if one is given."""
    known = taken(e for e in events if e.position <= position)
    counted = [e for at, e in known if not time or at <= time]
    jobs = (
        replay(Job(name=name), (e.event for e in history))
        for name, history in groupby(counted, key=lambda e: e.name)
    )
    return {job.name: job for job in jobs if job.delete_time is None}


def states(jobs: dict[str, Job]) -> dict[str | None, int]:
    return dict(Counter(job.state.name for job in jobs.values() if job.state))


def listed(ledger: Ledger, moment: AtPosition | AtTime) -> dict[str, Job]:
    return {job.name: job for job in ledger.list(as_of=moment)}


def write(ledger: Ledger, written: Sequence[list[tuple[Data, datetime]]], shuffle: int) -> None:
    """Jobs side by side, each in its own order, in several bulk writes."""
    random = Random(shuffle)
    queues = [
        [
            Event(f"projects/p{n % 2}/jobs/j{n}", v, data, at)
            for v, (data, at) in enumerate(history, 1)
        ]
        for n, history in enumerate(written)
    ]
    while queues:
        queue = random.choice(queues)
        ledger.append_many(queue[: (size := random.randrange(1, 4))])
        del queue[:size]
        if random.random() < 0.3:
            ledger.moment(BEGIN, "occurred")  # Intervals follow up to here.
        queues = [queue for queue in queues if queue]


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(histories(legal=True) | histories(legal=False), min_size=1, max_size=5),
    st.integers(0, 1_000),
    st.lists(st.integers(-1, 61), min_size=1, max_size=3),
)
def test_every_moment_equals_a_fold_of_its_events(
    dsn: str, written: list[list[tuple[Data, datetime]]], shuffle: int, minutes: list[int]
) -> None:
    with fresh_ledger(dsn) as ledger:
        write(ledger, written, shuffle)
        events = list(ledger.events(follow=False))
        size = len(events)
        with ledger.connection() as connection:
            assert verify(connection).findings == []
        for position in {0, size // 2, size - 1, size}:
            then = as_of(events, position)
            assert listed(ledger, AtPosition(position)) == then
            assert ledger.count(as_of=AtPosition(position)).counts == states(then)
            for minute in minutes:
                time = BEGIN + timedelta(minutes=minute)
                moment = AtTime(time, Clock.OCCURRED, position)
                then = as_of(events, position, time)
                assert listed(ledger, moment) == then
                counted = ledger.count("state", 'state : "*"', as_of=moment).counts
                assert counted == states(then)
                if position == size:
                    assert ledger.count(as_of=moment).counts == counted
                for name, job in then.items():
                    assert ledger.get(name, as_of=moment) == job


@pytest.mark.slow
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(histories(legal=True) | histories(legal=False), min_size=1, max_size=8),
    st.integers(0, 1_000),
    st.integers(0, 60),
)
def test_pages_of_a_state_have_the_jobs_of_it_in_their_order(
    dsn: str, written: list[list[tuple[Data, datetime]]], shuffle: int, minute: int
) -> None:
    with fresh_ledger(dsn) as ledger:
        write(ledger, written, shuffle)
        ledger.follow(ledger.size())
        for position in {ledger.size() // 2, ledger.size()}:
            check_pages(ledger, AtPosition(position))
            time = BEGIN + timedelta(minutes=minute)
            check_pages(ledger, AtTime(time, Clock.OCCURRED, position))


@pytest.mark.slow
@pytest.mark.both_forms
def test_each_version_equals_the_job_returned_then(ledger: Ledger) -> None:
    given_then = [
        ledger.create(NAME, {"a": "b"}, {"displayName": "x"}),
        ledger.started(NAME),
        ledger.progress_reported(NAME, {"step": 1}),
        ledger.failed(NAME, "out of memory"),
        ledger.retry(NAME),
        ledger.change_labels(NAME, {}),
    ]
    for version, job in enumerate(given_then, 1):
        assert ledger.get(NAME, as_of=f"v{version}") == job
        assert ledger.get(NAME, as_of=AtVersion(version)).etag == job.etag
        assert ledger.get(NAME, as_of=f"@{version}") == job
    with pytest.raises(InvalidFieldError, match=r"no version 7: .* is at v6"):
        ledger.get(NAME, as_of="v7")


@pytest.mark.slow
@pytest.mark.both_forms
def test_events_that_were_legal_as_recorded_keep_their_order(
    ledger: Ledger,
) -> None:
    hours = [AT + timedelta(hours=n) for n in range(5)]
    ledger.create(NAME, occurred_time=hours[0])
    ledger.queued(NAME, occurred_time=hours[3])
    ledger.started(NAME, occurred_time=hours[1])
    happened = [ledger.get(NAME, as_of=hour).state for hour in hours]
    assert [state.name for state in happened if state] == [
        "QUEUED", "QUEUED", "QUEUED", "RUNNING", "RUNNING",
    ]  # fmt: skip
    known = [ledger.get(NAME, as_of=f"v{version}").state for version in (1, 2, 3)]
    assert [state.name for state in known if state] == ["QUEUED", "QUEUED", "RUNNING"]
    assert ledger.count(as_of=hours[2]).counts == {"QUEUED": 1}
    assert ledger.count(as_of=hours[4]).counts == {"RUNNING": 1}
    # What was known of four o'clock before the late report came in.
    assert ledger.count(as_of=AtTime(hours[4], Clock.OCCURRED, 2)).counts == {"QUEUED": 1}


@pytest.mark.slow
def test_an_answer_on_the_recorded_clock_never_changes(ledger: Ledger) -> None:
    answers = []
    for batch in range(50):
        names = [f"projects/p/jobs/b{batch}_{n}" for n in range(5)]
        ledger.append_many(Event(name, 1, Created(), AT - timedelta(hours=batch)) for name in names)
        if batch:
            earlier = [f"projects/p/jobs/b{batch - 1}_{n}" for n in range(3)]
            ledger.append_many(Event(name, 2, Started(), AT) for name in earlier)
        moment = ledger.moment(datetime.now(UTC), "recorded")
        jobs = sorted(ledger.list(), key=lambda job: job.name)
        answers.append((moment, ledger.count().counts, jobs))
    for moment, counts, jobs in answers:
        for again in (moment, AtTime(moment.time, Clock.RECORDED), AtPosition(moment.position)):
            assert ledger.count(as_of=again).counts == counts
            assert sorted(ledger.list(as_of=again), key=lambda job: job.name) == jobs


@pytest.mark.slow
def test_answers_about_the_trace_are_repeated_exactly(
    trace_and_answers: tuple[Ledger, list[Answer]],
) -> None:
    trace, answers = trace_and_answers
    assert len(answers) == 50
    for _, moment, counts, newest in answers:
        again = AtTime(moment.time, Clock.RECORDED)
        assert trace.count(as_of=again).counts == counts
        assert trace.list(as_of=again, limit=40) == newest
    for _, moment, counts, _ in answers[::10]:
        assert trace.count("state", 'name : "*"', as_of=moment).counts == counts


@pytest.mark.both_forms
def test_asking_as_of_now_keeps_later_events_out_of_that_past(ledger: Ledger) -> None:
    moment = ledger.moment("now", "recorded")
    ledger.create(NAME)
    assert ledger.count(as_of=AtTime(moment.time, Clock.RECORDED)).counts == {}
    assert ledger.history(NAME)[0].recorded_time > moment.time


@pytest.mark.slow
@pytest.mark.both_forms
def test_now_on_the_occurred_clock_is_ordered_by_valid_time(ledger: Ledger) -> None:
    ledger.create(NAME, occurred_time=AT + timedelta(hours=1))
    ledger.started(NAME, occurred_time=AT)
    moment = ledger.moment(clock="occurred")
    assert (moment.clock, moment.position) == (Clock.OCCURRED, 2)
    assert ledger.count(clock="recorded").counts == {"RUNNING": 1}
    assert ledger.count(clock="occurred").counts == {"RUNNING": 1}
    page = ledger.page(clock="occurred")
    assert page.moment.clock is Clock.OCCURRED
    happened = ledger.get(NAME, clock="occurred")
    assert [happened] == ledger.list(clock="occurred") == page.jobs == ledger.list(as_of=moment)
    assert happened == ledger.get(NAME)
    assert happened.state is JobState.RUNNING
    assert happened.start_time == AT


@pytest.mark.slow
@pytest.mark.both_forms
def test_moments_before_the_ledger_are_empty_and_those_to_come_are_refused(ledger: Ledger) -> None:
    ledger.create(NAME)
    for clock in Clock:
        assert ledger.list(as_of="1999-01-01", clock=clock) == []
        assert ledger.count(as_of="1999-01-01", clock=clock).counts == {}
        with pytest.raises(JobNotFoundError):
            ledger.get(NAME, as_of="1999-01-01", clock=clock)
        with pytest.raises(InvalidFieldError, match="is in the future: it is"):
            ledger.list(as_of="2999-01-01", clock=clock)
    for moment in ("@2", Moment(2, AT, Clock.RECORDED), Moment(2, AT, Clock.OCCURRED)):
        with pytest.raises(InvalidFieldError, match="the ledger ends at 1"):
            ledger.list(as_of=moment)
    with pytest.raises(InvalidFieldError, match="is a version of one job"):
        ledger.list(as_of="v1")
    with pytest.raises(InvalidFieldError, match="has no time zone"):
        ledger.list(as_of=datetime(2026, 1, 1))  # noqa: DTZ001 - just that
    with pytest.raises(InvalidFieldError, match="transaction time"):
        ledger.list(as_of="@1", clock="occurred")
    with pytest.raises(InvalidFieldError, match="not a clock"):
        ledger.list(clock="wall")


@pytest.mark.slow
@pytest.mark.both_forms
def test_a_granted_role_can_read_the_past(dsn: str, ledger: Ledger, open_ledger: Opener) -> None:
    ledger.create(NAME)
    with application_of(dsn, ledger, open_ledger) as application:
        application.started(NAME)
        assert application.count(as_of="now").counts == {"RUNNING": 1}
        assert application.count(as_of="now", clock="recorded").counts == {"RUNNING": 1}
        assert application.page(page_size=1).jobs == [application.get(NAME)]


@pytest.mark.slow
def test_the_trace_at_noon_has_the_documented_counts(trace: Ledger) -> None:
    counted = trace.count(as_of="2011-05-02T12:00:00Z").counts
    assert counted == {
        "SUCCEEDED": 6_392, "RUNNING": 3_982, "CANCELLED": 3_249, "FAILED": 126, "QUEUED": 5,
    }  # fmt: skip
    assert trace.count("state", 'name : "*"', as_of="2011-05-02T12:00:00Z").counts == counted


@pytest.mark.slow
def test_the_trace_at_a_thousand_moments_equals_a_fold_of_its_events(trace: Ledger) -> None:
    entered = {
        "Created": "QUEUED", "Resumed": "QUEUED", "Retried": "QUEUED", "Started": "RUNNING",
        "Updating": "UPDATING", "Updated": "RUNNING", "Paused": "PAUSED", "Failed": "FAILED",
        "Succeeded": "SUCCEEDED", "Cancelled": "CANCELLED",
    }  # fmt: skip
    events = sorted(
        (e.occurred_time, e.name, e.version, entered.get(e.type))
        for e in trace.events(follow=False)
    )
    random = Random(2011)
    span = (events[-1][0] - events[0][0]) / timedelta(microseconds=1)
    instants = sorted(
        events[0][0] + timedelta(microseconds=random.randrange(int(span))) for _ in range(1_000)
    )
    state: dict[str, str] = {}
    counts: Counter[str | None] = Counter()
    following = iter(events)
    event = next(following, None)
    for instant in instants:
        while event is not None and event[0] <= instant:
            if event[3]:
                counts[state.get(event[1])] -= 1
                counts[event[3]] += 1
                state[event[1]] = event[3]
            event = next(following, None)
        expected = {key: jobs for key, jobs in counts.items() if key and jobs}
        assert trace.count(as_of=instant).counts == expected


@pytest.mark.slow
def test_the_command_line_prints_the_moment_of_an_answer(ledger: Ledger, cli: Cli) -> None:
    for n in range(3):
        ledger.create(f"projects/p/jobs/c{n}", occurred_time=AT + timedelta(hours=n))
    ledger.started("projects/p/jobs/c0", occurred_time=AT + timedelta(hours=1))

    def run(*arguments: str) -> tuple[int, str, str]:
        done = cli.run(*arguments)
        return done.returncode, done.stdout, done.stderr

    noon = "2026-06-01T13:30:00Z"
    counted = json.loads(run("count", "--by", "state", "--as-of", noon, "--json")[1])
    assert counted == {
        "asOf": "2026-06-01T13:30:00.000000Z", "clock": "occurred", "position": 4,
        "counts": {"QUEUED": 1, "RUNNING": 1},
    }  # fmt: skip
    _, listed, body = run("list", "--as-of", noon, "--json")
    assert [job["name"][-2:] for job in json.loads(listed)] == ["c1", "c0"]
    assert f"--as-of {noon}@4" in body.replace(".000000", "")
    shown = json.loads(run("show", "projects/p/jobs/c0", "--as-of", "v1", "--json")[1])
    assert (shown["state"], shown["clock"], shown["position"]) == ("QUEUED", "recorded", 1)
    page = json.loads(run("list", "--page-size", "2", "--json")[1])
    assert (page["position"], len(page["jobs"]), page["clock"]) == (4, 2, "recorded")
    following = run("list", "--page-size", "2", "--json", "--page-token", page["nextPageToken"])
    assert [job["name"][-2:] for job in json.loads(following[1])["jobs"]] == ["c0"]
    for wrong in ("v9", "@99", "2999-01-01", "01/02/2026", "soon"):
        code, out, body = run("show", "projects/p/jobs/c0", "--as-of", wrong)
        assert (code, out, body.count("\n")) == (2, "", 1)
        assert body.startswith("jobledger: as_of: ")


def test_states_at_a_pinned_time_are_counted_anew_only_if_something_was_reported_of_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.create(NAME, occurred_time=AT)
    pinned = ledger.moment(AT + timedelta(hours=1))
    ledger.started(NAME, {}, occurred_time=AT + timedelta(hours=2))
    ledger.follow(2)
    counted: list[Query] = []
    count = JobLists.count

    def spied(lists: JobLists, query: Query, by: str) -> dict[str | None, int]:
        counted.append(query)
        return count(lists, query, by)

    monkeypatch.setattr(JobLists, "count", spied)
    assert ledger.count(as_of=pinned).counts == {"QUEUED": 1}
    assert counted == []
    ledger.create("projects/p/jobs/late", occurred_time=AT)
    ledger.follow(3)
    assert ledger.count(as_of=pinned).counts == {"QUEUED": 1}
    assert len(counted) == 1
    assert ledger.count(as_of=pinned.time).counts == {"QUEUED": 2}
