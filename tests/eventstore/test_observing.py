"""Thousands of reports of other systems: recorded as single reports would be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError, RequestReusedError
from jobledger.domain.observing import catch_up, introduce, observe
from jobledger.domain.reports import parse_report
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.eventstore import observing
from jobledger.infra.eventstore.observing import observe_many
from jobledger.infra.eventstore.write_path import ObservedEvent
from jobledger.infra.eventstore.writes.plain import PlainEvent, plain_event
from jobledger.infra.read.store import Store
from jobledger.infra.upkeep.verify import verify

from tests.ledgers import application_of, fresh_ledger

START = datetime(2026, 5, 1, tzinfo=UTC)
NAMES = [f"projects/p/jobs/job-{n}" for n in range(4)]
TYPES = ("Queued", "Started", "Succeeded", "Failed", "Retried", "Paused", "Resumed", "Cancelled")
DATA: dict[str, Any] = {"Failed": {"error": "out of memory"}}


def event(name: str, type_: str, minute: float, request: str, **report: Any) -> ObservedEvent:
    judge = introduce if type_ == "Created" else observe
    about = {"occurred_time": START + timedelta(minutes=minute), "request_id": request}
    data = parse_report(type_, {**DATA.get(type_, {}), **report})
    return ObservedEvent(name, data, {**about, "actor": "test"}, judge)  # type: ignore[arg-type]


def story(random: Random, count: int) -> Iterator[ObservedEvent]:
    """Reports on a few jobs: in order or late, some twice, some of a named run."""
    for name in NAMES:
        yield event(name, "Created", -1, f"made {name}")
    for number in range(count):
        late = random.random() < 0.2
        minute = random.uniform(0, number) if late else number
        expected = {"runId": f"run-{number // 10}"} if random.random() < 0.5 else {}
        request = f"r{random.randrange(number + 1) if random.random() < 0.1 else number}"
        # A request id is of one job.
        name = NAMES[int(request[1:]) % len(NAMES)]
        made = event(name, random.choice(TYPES), minute, request, **expected)
        yield made._replace(judge=catch_up) if random.random() < 0.1 else made


def histories(ledger: Store) -> dict[str, Any]:
    fields = (
        "version",
        "type",
        "stored",
        "occurred_time",
        "actor",
        "request_id",
        "schema",
        "state",
    )
    return {
        name: [
            tuple(getattr(each, field) for field in fields) for each in ledger.reader.history(name)
        ]
        for name in NAMES
    }


def plainly(given: ObservedEvent) -> ObservedEvent | PlainEvent:
    """The same as a plain report, where it is one."""
    about = given.about
    expected = given.data.json_object()
    if given.judge is catch_up:
        return given
    made = plain_event(
        given.name,
        type(given.data).__name__,
        expected,
        about["occurred_time"],
        about["request_id"],
        "test",
    )
    return made or given


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("is_owner", [True, False])
def test_a_batch_records_what_single_reports_do(
    dsn: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, seed: int, is_owner: bool
) -> None:
    monkeypatch.setattr(observing, "BATCH_EVENTS", 40)
    given = list(story(Random(seed), 150))
    with (
        fresh_ledger(dsn) as other,
        nullcontext(ledger) if is_owner else application_of(dsn, ledger) as writing,
    ):
        for each in given:
            other.report_many([each])
        sent = [plainly(each) for each in given] if seed % 2 else given
        found = [outcome for _, outcome in observe_many(writing.writer, sent, ahead=is_owner)]
        assert len(found) == len(given)
        assert sum(len(each.types) for each in found) == ledger.size()
        assert histories(ledger) == histories(other)
        assert [ledger.get(name) for name in NAMES] == [other.get(name) for name in NAMES]
        # Only the refused report is decided again.
        again = [outcome for _, outcome in observe_many(writing.writer, sent)]
        assert all(bool(new.before) for new, old in zip(again, found, strict=True) if old.types)
        with ledger.connection() as connection:
            assert verify(connection).ok


def test_a_batch_is_decided_on_the_writes_of_other_processes(dsn: str, ledger: Ledger) -> None:
    first, second = NAMES[:2]
    list(observe_many(ledger.writer, [event(first, "Created", 0, "a")]))
    with Ledger.open(dsn, ledger.name) as other:
        other.report_many([event(first, "Started", 1, "b"), event(second, "Created", 1, "c")])
    # On the job that this process knows it would begin another time, and the other would be made.
    given = [
        event(first, "Succeeded", 2, "d"),
        event(first, "Started", 1, "b"),
        event(second, "Started", 2, "e"),
        event(second, "Created", 1, "c"),
    ]
    outcomes = [outcome for _, outcome in observe_many(ledger.writer, given)]
    assert [len(each.types) for each in outcomes] == [1, 0, 1, 0]
    assert [each.before for each in outcomes] == [0, 1, 0, 1]
    types = [[each.type for each in ledger.history(name)] for name in (first, second)]
    assert types == [["Created", "Started", "Succeeded"], ["Created", "Started"]]


def test_a_refused_report_affects_no_other(ledger: Ledger) -> None:
    given = [
        event(NAMES[0], "Created", 0, "a"),
        event(NAMES[1], "Started", 0, "b"),
        event(NAMES[0], "Started", 1, "\n"),
        event(NAMES[2], "Created", 1, "a"),
        event("no name", "Created", 1, "c"),
        event(NAMES[0], "Started", 2, "d"),
    ]
    errors = [outcome.error for _, outcome in observe_many(ledger.writer, given)]
    assert [type(error) for error in errors] == [
        type(None), JobNotFoundError, InvalidFieldError, RequestReusedError, InvalidFieldError, type(None),
    ]  # fmt: skip
    assert [each.type for each in ledger.history(NAMES[0])] == ["Created", "Started"]


def test_a_job_that_only_another_process_knows_is_found(dsn: str, ledger: Ledger) -> None:
    with Ledger.open(dsn, ledger.name) as other:
        other.report_many([event(NAMES[0], "Created", 0, "made")])
    outcomes = [o for _, o in observe_many(ledger.writer, [event(NAMES[0], "Started", 1, "a")])]
    assert [list(outcome.types) for outcome in outcomes] == [["Started"]]


def test_personal_values_are_encrypted(ledger: Ledger) -> None:
    who = {"@personal": {"subject": "ada", "value": "Ada"}}
    given = [
        event(NAMES[0], "Created", 0, "a"),
        event(NAMES[0], "ProgressReported", 1, "b", who=who),
    ]
    outcomes = [outcome for _, outcome in observe_many(ledger.writer, given)]
    assert [len(each.types) for each in outcomes] == [1, 1]
    assert b"Ada" not in ledger.history(NAMES[0])[-1].stored
    assert [o.before for _, o in observe_many(ledger.writer, given)] == [1, 1]


def test_reports_that_cannot_be_stored_are_repaired(ledger: Ledger) -> None:
    given = [
        event(NAMES[0], "Created", 0, "a"),
        event(NAMES[0], "ProgressReported", 1, "b", note="x\0y", large=2**60),
    ]
    assert [len(o.types) for _, o in observe_many(ledger.writer, given)] == [1, 1]
    assert "@mended" in ledger.history(NAMES[0])[-1].json


def test_an_error_of_the_source_comes_after_what_it_gave(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observing, "BATCH_EVENTS", 2)

    def source() -> Iterator[ObservedEvent]:
        yield event(NAMES[0], "Created", 0, "a")
        yield event(NAMES[0], "Started", 1, "b")
        yield event(NAMES[0], "Succeeded", 2, "c")
        raise LedgerUnavailableError("the source ended")

    with pytest.raises(LedgerUnavailableError, match="the source ended"):
        list(observe_many(ledger.writer, source(), ahead=True))
    assert ledger.size() == 3


@pytest.mark.parametrize("minute", [5, 6])
def test_a_start_that_comes_after_the_end_of_its_run_begins_no_other(
    ledger: Ledger, minute: int
) -> None:
    (name, *_) = NAMES
    told = [
        event(name, "Created", 0, "c"),
        event(name, "Succeeded", 5, "e", runId="a"),
        event(name, "Started", minute, "s", runId="a"),
        event(name, "Cancelling", 7, "x", runId="a"),
        event(name, "Started", 8, "t", runId="b"),
    ]
    done = [outcome.types for _, outcome in observe_many(ledger.writer, told)]
    start = "Started" if minute == 5 else "Commented"
    assert done[1:] == [["Succeeded"], [start], ["Commented"], ["Started"]]
    assert ledger.get(name, as_of="v4").state is JobState.SUCCEEDED
    assert ledger.get(name).attempt == 2


def test_a_start_of_the_run_that_ended_is_placed_or_contradicted(ledger: Ledger) -> None:
    (name, *_) = NAMES
    ends, later = START + timedelta(minutes=5), START + timedelta(minutes=6)
    ledger.create(name, occurred_time=START)
    ledger.succeeded(name, run_id="a", occurred_time=ends)
    ledger.started(name, run_id="a", occurred_time=ends)
    job = ledger.started(name, run_id="a", occurred_time=later)
    assert (job.state, job.attempt, job.start_time) == (JobState.SUCCEEDED, 1, ends)
    assert ledger.history(name)[-1].type == "Contradicted"
    job = ledger.started(name, run_id="b", occurred_time=later)
    assert (job.state, job.attempt) == (JobState.RUNNING, 2)


def test_an_end_without_an_attempt_that_is_reported_again_is_a_comment(ledger: Ledger) -> None:
    (name, *_) = NAMES
    told = [
        event(name, "Created", 0, "c"),
        event(name, "Failed", 5, "f"),
        event(name, "Failed", 6, "g"),
        event(name, "Succeeded", 7, "s"),
    ]
    done = [outcome.types for _, outcome in observe_many(ledger.writer, told)]
    assert done == [["Created"], ["Failed"], ["Commented"], ["Contradicted"]]
