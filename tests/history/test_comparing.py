"""Diff, blame and why, compared with folds and comparisons that are written here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.events import Event
from jobledger.domain.job import Job, replay
from jobledger.domain.values.moments import AtPosition, AtTime, Clock
from jobledger.infra import Ledger
from jobledger.infra.eventstore.json_view import job_json
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.history.blame import blame
from jobledger.infra.history.diff import ABSENT, Change, FleetDiff, diff_fleet, diff_jobs
from jobledger.infra.history.durations import elapsed
from jobledger.infra.history.explain import why
from jobledger.infra.history.timeline import span

from tests.clocks import taken
from tests.command_line import Cli
from tests.ledgers import fresh_ledger
from tests.projections.test_folds import BEGIN, histories

NAME = "projects/p/jobs/x"
AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
TERMINAL = {"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"}
Turns = Counter[tuple[str | None, str]]


def states_of(
    events: Iterable[RecordedEvent], position: int, time: datetime | None
) -> dict[str, tuple[str, Job]]:
    """The state of every job, by its events up to then, and the job; DELETED if it is gone."""
    known = taken(e for e in events if e.position <= position)
    counted = [e for at, e in known if not time or at <= time]
    states = {}
    for name, history in groupby(counted, key=lambda e: e.name):
        job = replay(Job(name=name), (e.event for e in history))
        if job.delete_time is not None:
            states[name] = "DELETED", job
        elif job.state is not None:
            states[name] = job.state.name, job
    return states


def turns_of(before: dict[str, tuple[str, Job]], after: dict[str, tuple[str, Job]]) -> Turns:
    pairs = ((before[n][0] if n in before else None, state) for n, (state, _) in after.items())
    return Counter(pair for pair in pairs if pair[0] != pair[1])


def told(diff: FleetDiff) -> Turns:
    return Counter({(turn.before, turn.after): turn.jobs for turn in diff.turns})


def write(ledger: Ledger, written: Sequence[list[tuple[Data, datetime]]], seed: int) -> None:
    """Jobs side by side, each in its own order."""
    random = Random(seed)
    queues = [
        [Event(f"projects/p/jobs/j{n}", v, *report) for v, report in enumerate(history, 1)]
        for n, history in enumerate(written)
    ]
    while queues := [queue for queue in queues if queue]:
        queue = random.choice(queues)
        ledger.append_many(queue[: (size := random.randrange(1, 4))])
        del queue[:size]


@pytest.mark.slow
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(histories(legal=True) | histories(legal=False), min_size=1, max_size=5),
    st.integers(0, 1_000),
    st.tuples(st.integers(-1, 61), st.integers(-1, 61)).map(sorted),
)
def test_a_fleet_diff_equals_the_difference_of_two_folds(
    dsn: str, written: list[list[tuple[Data, datetime]]], seed: int, minutes: list[int]
) -> None:
    with fresh_ledger(dsn) as ledger:
        write(ledger, written, seed)
        events = list(ledger.events(follow=False))
        size = len(events)
        positions = [size // 3, 2 * size // 3, size]
        for p, q in [(0, size), *pairwise(positions)]:
            moments = span(ledger.reader, AtPosition(p), AtPosition(q), None)
            before, after = states_of(events, p, None), states_of(events, q, None)
            assert told(diff_fleet(ledger.reader, *moments)) == turns_of(before, after)
            first, last = (BEGIN + timedelta(minutes=m) for m in minutes)
            occurred = Clock.OCCURRED
            moments = span(
                ledger.reader, AtTime(first, occurred, p), AtTime(last, occurred, q), None
            )
            before, after = states_of(events, p, first), states_of(events, q, last)
            assert told(diff_fleet(ledger.reader, *moments)) == turns_of(before, after)
            chosen = {n for n, (_, job) in [*before.items(), *after.items()] if job.attempt > 1}
            diff = diff_fleet(ledger.reader, *moments, "attempt > 1")
            both = ({n: s for n, s in side.items() if n in chosen} for side in (before, after))
            assert told(diff) == turns_of(*both)


@pytest.mark.slow
def test_a_fleet_diff_of_the_trace_equals_the_difference_of_two_folds(trace: Ledger) -> None:
    ledger = trace
    events = list(ledger.events(follow=False))
    for p, q in [(0, len(events)), (100_000, 120_000)]:
        diff = diff_fleet(ledger.reader, *span(ledger.reader, f"@{p}", f"@{q}", None), limit=3)
        before, after = states_of(events, p, None), states_of(events, q, None)
        assert told(diff) == turns_of(before, after)
        assert diff.appeared == len(after) - len(before)
        assert diff.ended == sum(
            state in TERMINAL and (n not in before or before[n][0] not in TERMINAL)
            for n, (state, _) in after.items()
        )
        for turn in diff.turns:
            right = sorted(
                n
                for n, (state, _) in after.items()
                if (before[n][0] if n in before else None, state) == (turn.before, turn.after)
            )
            assert turn.names == right[:3]
    times = [events[p].occurred_time for p in (60_000, 150_000)]
    diff = diff_fleet(ledger.reader, *span(ledger.reader, times[0], times[1], None))
    sides = (states_of(events, len(events), time) for time in times)
    assert told(diff) == turns_of(*sides)


def test_counts_of_a_fleet_diff(ledger: Ledger) -> None:
    for n in range(4):
        ledger.create(f"projects/p/jobs/j{n}", {"team": "a" if n % 2 else "b"})
    ledger.cancel("projects/p/jobs/j3")
    earlier = ledger.moment()
    ledger.started("projects/p/jobs/j0")
    ledger.failed("projects/p/jobs/j1")
    ledger.delete("projects/p/jobs/j3")
    ledger.create("projects/p/jobs/j4")
    ledger.create("projects/p/jobs/j5")
    ledger.cancel("projects/p/jobs/j5")
    ledger.delete("projects/p/jobs/j5")
    ledger.change_labels("projects/p/jobs/j2", {"team": "c"})
    diff = diff_fleet(ledger.reader, earlier, ledger.moment())
    counts = diff.appeared, diff.ended, diff.changed_state, diff.deleted
    assert counts == (1, 1, 2, 2)
    assert diff.json()["changes"][0] == {
        "from": "CANCELLED", "to": "DELETED", "count": 1, "jobs": ["projects/p/jobs/j3"],
    }  # fmt: skip
    of_a = diff_fleet(ledger.reader, earlier, ledger.moment(), "labels.team = a")
    assert told(of_a) == {("QUEUED", "FAILED"): 1, ("CANCELLED", "DELETED"): 1}


def test_a_fleet_diff_shows_what_became_known_from_a_clock_that_is_ahead(ledger: Ledger) -> None:
    ledger.create(NAME)
    ledger.started(NAME, occurred_time=datetime.now(UTC) + timedelta(hours=1))
    now = ledger.moment("now").time
    created, started = (AtTime(now, Clock.OCCURRED, known) for known in (1, 2))
    (turn,) = ledger.diff_fleet(created, started).turns
    assert (turn.before, turn.after, turn.names) == ("QUEUED", "RUNNING", [NAME])


def test_absent_null_and_values_of_other_types_differ() -> None:
    was = Job(
        name=NAME, version=1, labels={"team": "a", "gone": "x"},
        spec={"x": {"y": 1, "z": None}, "a.b": 1, "l": [1, {"m": 2}], "same": 1},
    )  # fmt: skip
    now = Job(
        name=NAME, version=1, labels={"team": "b", "new": "x"},
        spec={"x": {"y": True}, "a.b": None, "l": [1, {"m": 3}], "same": 1.0, "n": None},
    )  # fmt: skip
    assert diff_jobs(was, now) == [
        Change(("labels", "team"), "a", "b"),
        Change(("labels", "gone"), "x", ABSENT),
        Change(("labels", "new"), ABSENT, "x"),
        Change(("spec", "x", "y"), 1, True),
        Change(("spec", "x", "z"), None, ABSENT),
        Change(("spec", "a.b"), 1, None),
        Change(("spec", "l"), [1, {"m": 2}], [1, {"m": 3}]),
        Change(("spec", "n"), ABSENT, None),
    ]
    assert Change(("spec", "n"), ABSENT, None).json() == {"path": "spec.n", "after": None}
    assert diff_jobs(was, was) == []
    assert {c.before for c in diff_jobs(Job(name=NAME), was)} == {ABSENT}


def blamed_by_walking_back(events: list[RecordedEvent], top: str, key: str | None) -> int:
    """The version since which a field has been the same in the jobs' JSON."""
    jobs = [
        job_json(replay(Job(name=NAME), (e.event for e in events[:n])))
        for n in range(1, len(events) + 1)
    ]
    values = [job[top] if key is None else job[top].get(key, ABSENT) for job in jobs]
    version = len(events)
    while version > 1 and values[version - 2] == values[-1]:
        version -= 1
    return version


def test_each_field_is_blamed_on_the_event_that_set_it(ledger: Ledger) -> None:
    ledger.create(NAME, {"team": "a", "env": "dev"}, {"x": {"y": 1}}, actor="alice")
    ledger.started(NAME, {"worker": "node-7"})
    ledger.change_labels(NAME, {"team": "a", "env": "prod"}, actor="bob", request_id="r1")
    ledger.failed(NAME, "boom")
    ledger.retried(NAME)
    ledger.change_labels(NAME, {"team": "b", "env": "prod"})
    ledger.change_labels(NAME, {"team": "a", "env": "prod"})
    ledger.succeeded(NAME, {"y": 1})
    fields = {
        field: (value, event) for field, value, event in blame(ledger.reader, NAME, ledger.moment())
    }
    events = ledger.history(NAME)
    for field, (_, event) in fields.items():
        top, _, key = field.partition(".")
        assert event.version == blamed_by_walking_back(events, top, key or None), field
    assert {"labels.env", "labels.team", "spec.x", "output"} <= {*fields}
    assert (fields["labels.env"][1].actor, fields["labels.env"][1].request_id) == ("bob", "r1")
    assert fields["errorMessage"][0] is None
    assert fields["errorMessage"][1].type == "Retried"
    then = {
        b.field: b.event.version
        for b in blame(ledger.reader, NAME, ledger.moment("v4", None, NAME))
    }
    assert (then["errorMessage"], then["labels.team"], then["endTime"]) == (4, 1, 4)


def test_why_explains_the_chain_in_sentences(ledger: Ledger) -> None:
    def at(minutes: float) -> datetime:
        return AT + timedelta(minutes=minutes)

    ledger.create(NAME, actor="alice", occurred_time=at(0))
    ledger.started(NAME, {"worker": "node-7"}, occurred_time=at(5))
    ledger.progress_reported(NAME, occurred_time=at(6))
    error = {"code": 2, "message": "trace\nout of memory"}
    ledger.failed(NAME, error, {"exitCode": 3}, actor="node-7", occurred_time=at(9))
    ledger.succeeded(NAME, occurred_time=at(10), actor="node-7")
    ledger.retry(NAME, "more memory", occurred_time=at(20))
    ledger.queued(NAME, 0, occurred_time=at(15))
    told = why(ledger.reader, NAME, ledger.moment())
    # In whole days, which are not the same for all of them at each time of a day.
    lates = [elapsed(datetime.now(UTC) - at(minutes)).split()[0] for minutes in (0, 20)]
    sentences = [r.sentence.partition("; recorded ")[0].rstrip(".") for r in told.reasons]
    assert sentences == [
        "Created by alice on 2026-06-01 12:00:00 UTC: waits in the queue",
        "Started on 2026-06-01 12:05:00 UTC: runs on node-7; 5 min after it was created",
        "Failed, reported by node-7, on 2026-06-01 12:09:00 UTC: exit code 3,"
        " out of memory; 4 min after it started",
        "Succeeded was reported by node-7 on 2026-06-01 12:10:00 UTC, though the job was FAILED:"
        " it is kept as a contradiction and changed nothing else; 1 min after it failed",
        "Retried on 2026-06-01 12:20:00 UTC: attempt 2 waits in the queue, because: more memory;"
        " 11 min after it failed",
        "Queued on 2026-06-01 12:15:00 UTC: waits at place 0 in the queue;"
        " 5 min before it was retried",
    ]
    recorded = [r.sentence.partition("; recorded ")[2].split()[0] for r in told.reasons]
    assert set(recorded) <= set(lates)
    conclusion = (
        "It has been QUEUED since 2026-06-01 12:20:00 UTC; 2 attempts; 1 contradicted report."
    )
    assert told.conclusion == conclusion
    then = why(ledger.reader, NAME, ledger.moment("v3", None, NAME))
    assert then.conclusion == "It has been RUNNING since 2026-06-01 12:05:00 UTC."
    ledger.cancel(NAME)
    ledger.delete(NAME)
    assert "It was deleted on" in why(ledger.reader, NAME, ledger.moment()).conclusion


@pytest.mark.parametrize("worker", [{"host": "n"}, ["n"], 7])
def test_a_worker_that_is_no_text_is_explained_as_none(ledger: Ledger, worker: Any) -> None:
    ledger.create(NAME)
    ledger.started(NAME, {"worker": worker}, actor="alice")
    assert [clock.reporter for clock in ledger.why(NAME).clocks] == ["alice"]


@pytest.mark.slow
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(histories(legal=True) | histories(legal=False))
def test_any_history_can_be_explained(dsn: str, history: list[tuple[Data, datetime]]) -> None:
    with fresh_ledger(dsn) as ledger:
        write(ledger, [history], 0)
        for clock in (None, "occurred"):
            moment = ledger.moment("now" if clock else None, clock)
            told = why(ledger.reader, "projects/p/jobs/j0", moment)
            assert told.conclusion.startswith(("It has been ", "It was "))
            assert {b.field for b in blame(ledger.reader, "projects/p/jobs/j0", moment)} >= {
                "state"
            }


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.2, "less than 1 s"), (61, "1 min 1 s"), (7_200, "2 h"), (90_061, "1 day 1 h"),
        (-300, "5 min"), (3_601, "1 h"),
    ],
)  # fmt: skip
def test_a_duration_in_words(seconds: float, expected: str) -> None:
    assert elapsed(timedelta(seconds=seconds)) == expected


@pytest.mark.slow
def test_diff_on_the_command_line(cli: Cli, ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/x", {"team": "a"}, {"n": 1})
    ledger.failed("projects/p/jobs/x", "boom")
    ledger.retried("projects/p/jobs/x")
    ledger.succeeded("projects/p/jobs/x")
    ledger.create("projects/p/jobs/y", {"team": "b"}, {"m": 1})
    body = cli.json("diff", "x", "--from", "v1", "--to", "v2", "--json")
    assert (body["from"]["position"], body["to"]["position"]) == (1, 2)
    changed = {c["path"]: (c.get("before"), c.get("after")) for c in body["changes"]}
    assert changed["state"] == ("QUEUED", "FAILED")
    assert changed["errorMessage"] == (None, "boom")
    assert "labels" not in changed
    two = {c["path"]: c for c in cli.json("diff", "x", "y", "--json")["changes"]}
    assert two["labels.team"] == {"path": "labels.team", "before": "a", "after": "b"}
    assert two["spec.n"] == {"path": "spec.n", "before": 1}
    assert two["spec.m"] == {"path": "spec.m", "after": 1}
    attempts = cli.json("diff", "x", "--attempts", "1", "2", "--json")
    assert attempts["attempts"] == [1, 2]
    by_path = {c["path"]: (c["before"], c["after"]) for c in attempts["changes"]}
    assert by_path["state"] == ("FAILED", "SUCCEEDED")
    fleet = cli.json("diff", "--from", "@0", "--json")
    assert (fleet["appeared"], fleet["ended"], fleet["total"]) == (2, 1, 2)
    assert "labels.team  a" in cli("diff", "x", "y")
    assert "QUEUED" in cli("diff", "--from", "@1")
    blamed: dict[str, Any] = {
        b["field"]: b["event"] for b in cli.json("blame", "x", "--json")["fields"]
    }
    assert (blamed["state"]["type"], blamed["labels.team"]["version"]) == ("Succeeded", 1)
    assert "v4 Succeeded" in cli("blame", "x")
    chain = cli.json("why", "x", "--as-of", "v2", "--json")
    assert [c["event"]["type"] for c in chain["chain"]] == ["Created", "Failed"]
    assert "It has been SUCCEEDED since" in cli("why", "x")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["diff"], "from: "),
        (["diff", "x"], "from: "),
        (["diff", "x", "--from", "v2", "--to", "v1"], "from: @2 is after @1"),
        (["diff", "--from", "@2", "--to", "@1"], "from: @2 is after @1"),
        (["diff", "--from", "@99"], "there is no position 99 yet"),
        (["diff", "--from", "@1", "--to", "1h ago"], "say --clock recorded"),
        (["diff", "--from", "1h ago", "--to", "2h ago"], "is after"),
        (["diff", "--from", "@0", "--filter", "colour = red"], "no field 'colour'"),
        (["diff", "--from", "@0", "--filter", "state ="], "cannot be read"),
        (["diff", "x", "--attempts", "1", "2"], "there is no attempt 2"),
        (["diff", "--attempts", "1", "2", "--from", "@0"], "attempts: "),
        (["diff", "x", "--from", "@0", "--filter", "state = FAILED"], "filter: "),
        (["diff", "x", "nobody"], "there is no job projects/p/jobs/nobody"),
        (["diff", "nobody", "--from", "@0"], "there is no job"),
        (["blame", "nobody"], "there is no job"),
        (["blame", "x", "--as-of", "v7"], "no version 7"),
        (["why", "nobody"], "there is no job"),
        (["why", "x", "--as-of", "@0"], "there is no job"),
    ],
)
def test_bad_input_gets_one_sentence(
    cli: Cli, ledger: Ledger, arguments: list[str], sentence: str
) -> None:
    ledger.create("projects/p/jobs/x")
    ledger.started("projects/p/jobs/x")
    done = cli.run(*arguments)
    assert done.returncode == (3 if "there is no job" in sentence else 2)
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert ledger.size() == 2


def test_a_job_that_was_not_there_yet_or_is_gone_is_compared(cli: Cli, ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/x")
    ledger.cancel("projects/p/jobs/x")
    ledger.delete("projects/p/jobs/x")
    begun = cli.json("diff", "x", "--from", "@0", "--to", "@1", "--json")["changes"]
    assert all("before" not in change for change in begun)
    gone = {c["path"] for c in cli.json("diff", "x", "--from", "v3", "--json")["changes"]}
    assert gone == {"version", "updateTime", "etag", "deleteTime"}


def test_a_negative_limit_and_moments_on_two_clocks_are_refused(ledger: Ledger) -> None:
    ledger.create(NAME)
    now, happened = ledger.moment(), ledger.moment("now")
    with pytest.raises(InvalidFieldError, match="limit"):
        diff_fleet(ledger.reader, now, now, limit=-1)
    with pytest.raises(InvalidFieldError, match="to"):
        diff_fleet(ledger.reader, happened, now)
    with pytest.raises(JobNotFoundError):
        why(ledger.reader, "projects/p/jobs/nobody", now)
