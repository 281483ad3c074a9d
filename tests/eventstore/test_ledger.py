"""The Python API on a real server, for threads and for asyncio: writing, refusing, repeating, reading."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from jobledger.domain.errors import (
    DataTooLargeError,
    IllegalTransitionError,
    InvalidFieldError,
    JobExistsError,
    JobNotFoundError,
    LedgerError,
    RequestReusedError,
    VersionConflictError,
)
from jobledger.domain.events import Created, Event, ProgressReported, Started, Succeeded
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.errors import LedgerUnavailableError, SchemaError
from jobledger.infra.upkeep.verify import verify

from tests.forms import Opener
from tests.ledgers import application_of

pytestmark = pytest.mark.both_forms

NAME = "projects/p/jobs/train_1"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def assert_sound(ledger: Ledger) -> None:
    with ledger.connection() as connection:
        assert verify(connection).findings == []


def test_a_job_is_the_fold_of_its_events(ledger: Ledger) -> None:
    begin = datetime(2026, 6, 1, 10, tzinfo=UTC)
    ledger.create(NAME, {"team": "a"}, {"x": 1.5}, occurred_time=begin, actor="ana")
    ledger.started(NAME, {"worker": "w1"}, occurred_time=begin + timedelta(minutes=1))
    done = ledger.succeeded(NAME, {"m": "gs://m"}, occurred_time=begin + timedelta(minutes=2))

    assert ledger.get(NAME) == done
    assert (done.state, done.version) == (JobState.SUCCEEDED, 3)
    assert done.start_time == begin + timedelta(minutes=1)
    assert done.end_time == begin + timedelta(minutes=2)
    assert (done.project, done.kind, done.spec, done.output) == (
        "p",
        "jobs",
        {"x": 1.5},
        {"m": "gs://m"},
    )
    history = ledger.history(NAME)
    assert [(e.position, e.version, e.type, e.state) for e in history] == [
        (1, 1, "Created", JobState.QUEUED),
        (2, 2, "Started", JobState.RUNNING),
        (3, 3, "Succeeded", JobState.SUCCEEDED),
    ]
    assert history[0].actor == "ana"
    assert history[1].json == {"worker": "w1"}
    assert history[0].recorded_time > begin
    assert_sound(ledger)


@pytest.mark.slow
def test_there_is_a_method_for_each_command_and_report(ledger: Ledger) -> None:
    name = iter(f"projects/p/jobs/j{n}" for n in range(100))

    def job(*calls: Callable[[str], object]) -> JobState | None:
        this = next(name)
        ledger.create(this)
        for call in calls:
            call(this)
        return ledger.get(this).state

    def update(this: str) -> object:
        return ledger.update(this, {"x": 2})

    assert job(ledger.queued, ledger.preparing, ledger.started) is JobState.RUNNING
    assert job(ledger.started, update) is JobState.UPDATING
    assert (
        job(ledger.started, ledger.updating, lambda n: ledger.updated(n, {"x": 2}))
        is JobState.RUNNING
    )
    assert job(ledger.pause) is JobState.PAUSED
    assert job(ledger.pause, ledger.resume) is JobState.QUEUED
    assert job(ledger.paused, ledger.resumed) is JobState.QUEUED
    assert job(ledger.cancel) is JobState.CANCELLED
    assert job(ledger.started, ledger.cancelling, ledger.cancelled) is JobState.CANCELLED
    assert job(ledger.started, ledger.partially_succeeded) is JobState.PARTIALLY_SUCCEEDED
    assert job(ledger.expired) is JobState.EXPIRED
    assert job(ledger.failed, ledger.retry) is JobState.QUEUED
    assert job(ledger.failed, ledger.retried) is JobState.QUEUED
    assert job(ledger.started, ledger.progress_reported) is JobState.RUNNING
    assert job(lambda n: ledger.labels_changed(n, {"a": "b"})) is JobState.QUEUED
    assert job(lambda n: ledger.change_labels(n, {"a": "b"})) is JobState.QUEUED
    for call in (ledger.delete, ledger.deleted):
        with pytest.raises(JobNotFoundError, match="was deleted"):
            job(ledger.failed, call)
    assert_sound(ledger)


def test_an_impossible_report_is_kept_as_contradicted(ledger: Ledger) -> None:
    ledger.create(NAME)
    ledger.succeeded(NAME)

    job, (event,) = ledger.report(NAME, Started.model_validate({"worker": "late"}))

    assert job.state is JobState.SUCCEEDED
    assert event.type == "Contradicted"
    assert event.json == {"report": "Started", "state": "SUCCEEDED", "data": {"worker": "late"}}
    assert_sound(ledger)


@pytest.mark.slow
def test_a_refused_command_changes_nothing(ledger: Ledger) -> None:
    ledger.create(NAME)
    refusals: list[tuple[type[LedgerError], Callable[[], object]]] = [
        (JobExistsError, lambda: ledger.create(NAME)),
        (JobNotFoundError, lambda: ledger.started("projects/p/jobs/nobody")),
        (JobNotFoundError, lambda: ledger.cancel("projects/p/jobs/nobody")),
        (JobNotFoundError, lambda: ledger.get("projects/p/jobs/nobody")),
        (JobNotFoundError, lambda: ledger.history("projects/p/jobs/nobody")),
        (IllegalTransitionError, lambda: ledger.resume(NAME)),
        (InvalidFieldError, lambda: ledger.started("train_1")),
        (InvalidFieldError, lambda: ledger.change_config(NAME, {"x": "a\0b"})),
        (InvalidFieldError, lambda: ledger.change_config(NAME, {"x": object()})),
        (InvalidFieldError, lambda: ledger.create("projects/p/jobs/b", {"Team": "a"})),
        (InvalidFieldError, lambda: ledger.started(NAME, occurred_time=datetime(2026, 1, 1))),  # noqa: DTZ001
        (
            InvalidFieldError,
            lambda: ledger.started(NAME, occurred_time=datetime(1900, 1, 1, tzinfo=UTC)),
        ),
        (
            InvalidFieldError,
            lambda: ledger.started(NAME, occurred_time=datetime(2100, 1, 1, tzinfo=UTC)),
        ),
        (InvalidFieldError, lambda: ledger.started(NAME, actor="")),
        (InvalidFieldError, lambda: ledger.started(NAME, trace_parent="x")),
        (InvalidFieldError, lambda: ledger.list("color = red")),
        (DataTooLargeError, lambda: ledger.change_config(NAME, {"x": "y" * 1_000_000})),
    ]
    for error, call in refusals:
        with pytest.raises(error):
            call()
    assert ledger.size() == 1
    assert_sound(ledger)


def test_a_misspelled_option_is_a_type_error(ledger: Ledger) -> None:
    with pytest.raises(TypeError, match="occured_time"):
        ledger.create(NAME, occured_time=datetime.now(UTC))  # type: ignore[call-arg]


def test_the_same_request_is_answered_again_and_written_once(ledger: Ledger) -> None:
    created = ledger.create(NAME, request_id="r1", trace_parent=PARENT)
    ledger.started(NAME)
    cancelled = ledger.cancel(NAME, "typo", request_id="r2")
    ledger.cancelled(NAME)

    assert ledger.create(NAME, request_id="r1") == created
    assert ledger.cancel(NAME, "typo", request_id="r2") == cancelled
    assert [e.request_id for e in ledger.history(NAME)] == ["r1", None, "r2", None]
    assert ledger.history(NAME)[0].trace_parent == PARENT
    with pytest.raises(RequestReusedError):
        ledger.create("projects/p/jobs/other", request_id="r1")
    with pytest.raises(RequestReusedError):
        ledger.started(NAME, request_id="r1")
    assert ledger.size() == 4
    assert_sound(ledger)


@pytest.mark.slow
def test_another_process_that_knows_less_decides_on_what_is_there(
    ledger: Ledger, dsn: str, ledger_name: str, open_ledger: Opener
) -> None:
    with open_ledger(dsn, ledger_name) as other:
        ledger.create(NAME)
        assert other.started(NAME).version == 2
        ledger.succeeded(NAME)
        assert other.report(NAME, Succeeded()).events[0].type == "Contradicted"
        ledger.retry(NAME)
        assert other.started(NAME).attempt == 2
        assert ledger.cancel(NAME).state is JobState.CANCELLING
        other.failed(NAME)
        other.retry(NAME)
        # Here it was last seen CANCELLING, in which a cancel would have nothing to do.
        assert ledger.cancel(NAME).state is JobState.CANCELLED
    assert_sound(ledger)


def test_lists_are_filtered_and_newest_first(ledger: Ledger) -> None:
    for n in range(5):
        ledger.create(f"projects/p/jobs/j{n}", {"team": "ab"[n % 2]}, {"displayName": f"job {n}"})
    ledger.failed("projects/p/jobs/j2", {"code": 8, "message": "oom 100%"})
    ledger.failed("projects/p/jobs/j4")
    ledger.delete("projects/p/jobs/j4")

    def ids(filter_: str, limit: int | None = None) -> list[str]:
        return [job.name[-2:] for job in ledger.list(filter_, limit=limit)]

    assert ids("") == ["j3", "j2", "j1", "j0"]
    assert ids("", limit=2) == ["j3", "j2"]
    assert ids("", limit=0) == []
    assert ids("state = FAILED") == ["j2"]
    assert ids('labels.team = "b" AND NOT display_name = "job 1"') == ["j3"]
    assert ids('display_name : "job *" -state:FAILED') == ["j3", "j1", "j0"]
    assert ids("error.code = 8 OR labels.team = b") == ["j3", "j2", "j1"]
    assert ids('errorMessage = "*100%"') == ["j2"]
    assert ids("labels.nothing : *") == []
    assert ids('create_time > "2020-01-01T00:00:00Z" AND attempt <= 1') == ["j3", "j2", "j1", "j0"]
    for wrong in ("state = ASLEEP", "attempt = many", "create_time > yesterday", "a = ", "a"):
        with pytest.raises(InvalidFieldError):
            ids(wrong)


def test_appended_events_are_written_unchanged(ledger: Ledger) -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    other = "projects/p/jobs/other"
    events = [
        Event(NAME, 1, Created(labels={"a": "b"}, spec={"s": "back\\slash\ttab"}), at, "a\\b"),
        Event(other, 1, Created(), at),
        Event(NAME, 2, Started(), at, None, "r1", PARENT),
        Event(NAME, 3, ProgressReported(output={"n": 2.5e300}), at),
    ]

    assert ledger.append_many(events) == 4

    assert [e.event for e in ledger.history(NAME)] == [events[0], *events[2:]]
    assert ledger.started(other).version == 2
    with pytest.raises(VersionConflictError) as caught:
        ledger.append_many([Event(NAME, 6, Started(), at)])
    assert (caught.value.expected, caught.value.actual) == (5, 3)
    with pytest.raises(VersionConflictError):
        ledger.append_many([Event(other, 2, Started(), at)])
    with pytest.raises(InvalidFieldError):
        ledger.append_many([Event("nonsense", 1, Created(), at)])
    assert ledger.size() == 5
    assert ledger.succeeded(NAME).version == 4
    assert_sound(ledger)


def test_times_recorded_never_run_backwards(ledger: Ledger) -> None:
    with ledger.connection() as connection:
        connection.execute("UPDATE head SET recorded_time = now() + interval '1 hour'")
    ledger.create(NAME)
    ledger.append_many([Event(NAME, 2, Started(), datetime.now(UTC))])
    first, second = ledger.history(NAME)
    assert datetime.now(UTC) + timedelta(minutes=59) < first.recorded_time <= second.recorded_time


def test_an_unreachable_server_is_reported_in_one_sentence(open_ledger: Opener) -> None:
    with (
        pytest.raises(LedgerUnavailableError, match="cannot be reached") as caught,
        open_ledger("host=127.0.0.1 port=1 connect_timeout=1"),
    ):
        pass
    assert caught.value.written is False


def test_a_missing_ledger_is_not_made_by_opening_it(dsn: str, open_ledger: Opener) -> None:
    missing = pytest.raises(SchemaError, match="jobledger --ledger nowhere init")
    with missing, open_ledger(dsn, "nowhere"):
        pass
    with pytest.raises(InvalidFieldError), open_ledger(dsn, "No Where"):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET actor = 'x'",
        "UPDATE events SET data = '{\"spec\": 1}' WHERE position = 1",
        "DELETE FROM events",
        "TRUNCATE events",
    ],
)
def test_the_database_refuses_changes_of_events(ledger: Ledger, statement: str) -> None:
    ledger.create(NAME)
    with ledger.connection() as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(statement.encode())
    assert ledger.size() == 1


@pytest.mark.slow
def test_an_application_role_can_append_and_nothing_else(
    dsn: str, ledger: Ledger, open_ledger: Opener
) -> None:
    with application_of(dsn, ledger, open_ledger) as application:
        application.create(NAME)
        application.append_many([Event(NAME, 2, Started(), datetime.now(UTC))])
        assert application.get(NAME).state is JobState.RUNNING
        statements = (
            "INSERT INTO events SELECT * FROM events",
            "UPDATE events SET actor = 'x'",
            "DELETE FROM events",
            "TRUNCATE events",
            "UPDATE jobs SET state = 'FAILED'",
            "UPDATE head SET size = 0",
            "UPDATE projections SET position = 0",
        )
        for statement in statements:
            with (
                application.connection() as own,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                own.execute(statement.encode())
    assert_sound(ledger)


def test_history_shows_as_json_in_sql(ledger: Ledger) -> None:
    ledger.create(NAME, {"team": "a"})
    with ledger.connection() as connection:
        row: Any = connection.execute("SELECT data -> 'labels' ->> 'team' FROM history").fetchone()
    assert row == ("a",)
