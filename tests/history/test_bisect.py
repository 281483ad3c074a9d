"""Bisect, compared with a walk over all events that is written here."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.events import Event
from jobledger.domain.job import Job, evolve
from jobledger.domain.states import JobState, state_after
from jobledger.domain.values.moments import AtTime, Clock, Moment
from jobledger.infra import Ledger
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.history.bisect import Found, beginning, bisect_count, bisect_job
from jobledger.infra.history.counts import sweep as sweeping
from jobledger.infra.history.counts.conditions import parse_condition

from tests.clocks import taken
from tests.command_line import Cli
from tests.ledgers import fresh_ledger
from tests.projections.test_folds import BEGIN, histories

NAME = "projects/p/jobs/x"
AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
Predicate = Callable[[Job, set[object]], bool]
"""For a job, whether it ever Started or ran again, and its versions at each moment."""

FILTERS: dict[str, Predicate] = {
    "state = RUNNING": lambda job, past: job.state is not None and job.state.name == "RUNNING",
    "attempt > 1": lambda job, past: job.attempt > 1,
    "NOT error.code = 2 AND version > 2": lambda job, past: (
        (job.error or {}).get("code") != 2 and job.version > 2
    ),
    "ever(state = RUNNING)": lambda job, past: "Started" in past,
    "ever(version = 2)": lambda job, past: 2 in past,
    "ever(state = RUNNING) AND attempt = 1": lambda job, past: (
        "Started" in past and job.attempt == 1
    ),
}
COMPARISONS = {"<": operator.lt, "=": operator.eq, ">": operator.gt}


def counts_by_walking(
    events: Sequence[RecordedEvent], is_true: Predicate, clock: Clock
) -> Iterator[tuple[RecordedEvent, int]]:
    """Counts the matching jobs after each event or, in valid time, after all events of a time."""
    jobs: dict[str, Job] = {}
    past: dict[str, set[object]] = {}
    order: Callable[[RecordedEvent], object] = lambda e: e.position  # noqa: E731
    walked = list(events)
    if clock is Clock.OCCURRED:
        order = lambda e: e.taken_time  # noqa: E731
        walked = [event._replace(effective_time=time) for time, event in taken(walked)]
        walked.sort(key=lambda e: (e.taken_time, e.position))
    true: set[str] = set()
    for _, group in groupby(walked, key=order):
        at_once = list(group)
        for event in at_once:
            jobs[event.name] = evolve(jobs.get(event.name, Job(name=event.name)), event.event)
            past.setdefault(event.name, set()).add(
                "Started" if state_after(event.type) is JobState.RUNNING else None
            )
        for name in {event.name for event in at_once}:
            job = jobs[name]
            past[name].add(job.version)
            holds = job.delete_time is None and is_true(job, past[name])
            true = true | {name} if holds else true - {name}
        yield at_once[-1], len(true)


def write(ledger: Ledger, written: Sequence[list[tuple[Data, datetime]]], seed: int) -> None:
    random = Random(seed)
    queues = [
        [Event(f"projects/p/jobs/j{n}", v, *report) for v, report in enumerate(history, 1)]
        for n, history in enumerate(written)
    ]
    while queues := [queue for queue in queues if queue]:
        ledger.append_many([random.choice(queues).pop(0)])


def latest(ledger: Ledger, clock: Clock) -> Moment:
    return ledger.moment("now", clock)


def is_right(found: Found | None, expected: tuple[RecordedEvent, int] | None) -> bool:
    if found is None or expected is None:
        return found is None and expected is None
    event, count = expected
    assert found.jobs == count
    if found.moment.clock is Clock.RECORDED:
        return found.event == event and found.moment.position == event.position
    # In valid time, several events may take effect at once.
    assert found.event is not None
    return found.moment.time == event.taken_time


@pytest.mark.slow
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(histories(legal=True) | histories(legal=False), min_size=2, max_size=6),
    st.integers(0, 1_000),
    st.sampled_from([2, 5_000]),
)
def test_the_first_is_the_one_a_walk_finds(
    dsn: str, written: list[list[tuple[Data, datetime]]], seed: int, stretch: int
) -> None:
    with fresh_ledger(dsn) as ledger, pytest.MonkeyPatch.context() as patched:
        patched.setattr(sweeping, "BATCH_EVENTS", stretch)
        write(ledger, written, seed)
        events = list(ledger.events(follow=False))
        for clock in Clock:
            later = latest(ledger, clock)
            begin = beginning(later)
            for text, is_true in FILTERS.items():
                for sign, number in [(">", 0), (">", 2), ("=", 2)]:
                    compare = COMPARISONS[sign]
                    walk = counts_by_walking(events, is_true, clock)
                    first = next((body for body in walk if compare(body[1], number)), None)
                    conditions = [f"count({text}) {sign} {number}"]
                    if text == "state = RUNNING":
                        conditions.append(f"Running {sign} {number}")
                    for condition in conditions:
                        assert is_right(bisect_count(ledger.reader, condition, begin, later), first)
                name = events[0].name
                of_job = [event for event in events if event.name == name]
                walk = counts_by_walking(of_job, is_true, clock)
                first = next((body for body in walk if body[1]), None)
                assert is_right(bisect_job(ledger.reader, name, text, begin, later), first)


@pytest.mark.slow
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(histories(legal=True), min_size=2, max_size=6), st.integers(0, 1_000))
def test_bisect_as_of_a_position_uses_what_was_known_then(
    dsn: str, written: list[list[tuple[Data, datetime]]], seed: int
) -> None:
    """In valid time as of a position, and from a moment on."""
    with fresh_ledger(dsn) as ledger:
        write(ledger, written, seed)
        events = list(ledger.events(follow=False))
        known = len(events) // 2
        later = ledger.moment(AtTime(BEGIN + timedelta(minutes=40), Clock.OCCURRED, known))
        earlier = ledger.moment(AtTime(BEGIN + timedelta(minutes=10), Clock.OCCURRED, known))
        counted = [e for time, e in taken(events[:known]) if time <= later.time]
        walk = list(
            counts_by_walking(counted, lambda job, _: job.state is not None, Clock.OCCURRED)
        )
        before = [jobs for event, jobs in walk if event.taken_time <= earlier.time]
        found = bisect_count(ledger.reader, "jobs > 1", earlier, later)
        if before and before[-1] > 1:
            assert found is not None
            assert (found.event, found.moment, found.jobs) == (None, earlier, before[-1])
        else:
            after = [e for e in walk if e[0].taken_time > earlier.time and e[1] > 1]
            assert is_right(found, after[0] if after else None)


@pytest.mark.slow
def test_the_trace_is_bisected_exactly(trace: Ledger) -> None:
    ledger = trace
    later = ledger.moment()
    running: set[str] = set()
    first = None
    for event in ledger.events(follow=False):
        if event.state is not None and event.state.name == "RUNNING":
            running.add(event.name)
        else:
            running.discard(event.name)
        if len(running) > 4_000:
            first = event
            break
    assert first is not None
    for condition in ("running > 4000", "count(state = RUNNING) > 4000"):
        found = bisect_count(ledger.reader, condition, beginning(later), later)
        assert found is not None
        assert (found.event, found.jobs) == (first, 4_001)
        was = ledger.count(as_of=f"@{first.position - 1}").counts["RUNNING"]
        assert was == 4_000
    happened = latest(ledger, Clock.OCCURRED)
    found = bisect_count(ledger.reader, "running > 4000", beginning(happened), happened)
    assert found is not None
    assert ledger.count(as_of=found.moment).counts["RUNNING"] == found.jobs
    just_before = found.moment.time - timedelta(microseconds=1)
    assert ledger.count(as_of=just_before).counts["RUNNING"] <= 4_000


@pytest.mark.slow
def test_a_temporary_condition_is_found(ledger: Ledger) -> None:
    ledger.create(NAME, occurred_time=AT)
    ledger.started(NAME, occurred_time=AT + timedelta(hours=1))
    ledger.paused(NAME, "evicted", occurred_time=AT + timedelta(hours=2))
    ledger.resume(NAME, occurred_time=AT + timedelta(hours=3))
    now = ledger.moment()
    found = bisect_job(ledger.reader, NAME, "state = PAUSED", beginning(now), now)
    assert found is not None
    assert found.event == ledger.history(NAME)[2]
    from_then = bisect_job(
        ledger.reader, NAME, "state = PAUSED", ledger.moment("v3", name=NAME), now
    )
    assert from_then is not None
    assert from_then.event is None
    assert (
        bisect_job(ledger.reader, NAME, "state = PAUSED", ledger.moment("v4", name=NAME), now)
        is None
    )
    assert bisect_job(ledger.reader, NAME, "state = FAILED", beginning(now), now) is None
    happened = ledger.moment("now")
    found = bisect_job(ledger.reader, NAME, "ever(state = PAUSED)", beginning(happened), happened)
    assert found is not None
    assert found.moment.time == AT + timedelta(hours=2)
    since = bisect_job(ledger.reader, NAME, "ever(state = PAUSED)", found.moment, happened)
    assert since is not None
    assert since.event is None
    with pytest.raises(JobNotFoundError):
        bisect_job(ledger.reader, "projects/p/jobs/nobody", "state = FAILED", beginning(now), now)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    ["", "running", "running >", "running > -1", "running > many", "flying > 1", "> 3",
     "count(state = ) > 1", "count(colour = red) > 1", "count(state = FAILED > 1", "running ~ 1",
     "count(ever(ever(state = FAILED))) > 1"],
)  # fmt: skip
def test_a_condition_that_cannot_be_read_is_refused(ledger: Ledger, text: str) -> None:
    now = ledger.moment()
    with pytest.raises(InvalidFieldError):
        bisect_count(ledger.reader, text, beginning(now), now)


def test_conditions_are_read() -> None:
    assert parse_condition("RUNNING>=40").state == 3
    assert parse_condition(" jobs = 0 ").holds(0)
    assert parse_condition('count(name : "a)") != 1').text == 'name : "a)"'


@pytest.mark.slow
def test_bisect_on_the_command_line(cli: Cli, ledger: Ledger) -> None:
    for n in range(3):
        ledger.create(f"projects/p/jobs/j{n}")
        ledger.started(f"projects/p/jobs/j{n}")
    body = cli.json("bisect", "--count", "running > 1", "--json")
    assert (body["found"]["position"], body["found"]["count"]) == (4, 2)
    assert body["found"]["event"]["name"] == "projects/p/jobs/j1"
    job = cli.json("bisect", "j2", "--filter", "state = RUNNING", "--clock", "occurred", "--json")
    assert job["found"]["event"]["position"] == 6
    assert job["to"]["clock"] == "occurred"
    assert "first true after @4" in cli("bisect", "--count", "running > 1")
    assert "already" in cli("bisect", "--count", "running > 1", "--from", "@5")
    never = cli.run("bisect", "--count", "failed > 0")
    assert (never.returncode, never.stdout) == (1, "")
    assert "never true that failed > 0" in never.stderr
    assert '"found": null' in cli("bisect", "--count", "failed > 0", "--json", code=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "needs NAME and --filter, or --count"),
        (["x"], "needs NAME and --filter"),
        (["x", "--count", "running > 1"], "leave out NAME and --filter"),
        (["nobody", "--filter", "state = FAILED"], "there is no job"),
        (["x", "--filter", "colour = red"], "no field 'colour'"),
        (["--count", "much > 1"], "unknown state 'much'"),
        (["--count", "running > 1", "--from", "@2", "--to", "@1"], "is after"),
    ],
)
def test_bad_input_gets_one_sentence(
    cli: Cli, ledger: Ledger, arguments: list[str], sentence: str
) -> None:
    ledger.create("projects/p/jobs/x")
    ledger.started("projects/p/jobs/x")
    done = cli.run("bisect", *arguments)
    assert done.returncode == (3 if "there is no job" in sentence else 2)
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
