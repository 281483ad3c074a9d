"""The views, as BI tools and psql read them: their columns, their rows, and that a rebuild leaves them there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.postgres.connections import Connection, connect, schema_of
from jobledger.infra.transfer.traces.simulation import BEGIN, simulate
from jobledger.infra.upkeep.rebuild import rebuild
from jobledger.projections.catalogue import PROJECTIONS
from psycopg import errors

from tests.ledgers import application_of

AT = datetime(2026, 6, 1, 10, tzinfo=UTC)
COLUMNS = {
    "google_ml_jobs": [
        "createTime", "endTime", "errorMessage", "etag", "jobId", "jobPosition", "labels", "predictionInput",
        "predictionOutput", "startTime", "state", "trainingInput", "trainingOutput", "projectsId",
    ],
    "job_events": [
        "position", "name", "version", "type", "schema", "occurred_time", "recorded_time",
        "actor", "request_id", "trace_parent", "data",
    ],
    "job_intervals": [
        "name", "version", "state", "from_position", "to_position",
        "occurred_from", "occurred_to", "recorded_from", "recorded_to",
    ],
    "jobs_as_of(now())": [
        "name", "project", "kind", "state", "version", "attempt", "create_time", "start_time", "end_time",
        "update_time", "delete_time", "error", "error_message", "labels", "spec", "output", "etag",
    ],
}  # fmt: skip


@pytest.fixture
def sql(ledger: Ledger) -> Iterator[Sql]:
    """A session whose search_path names no ledger, as a BI tool's."""
    with ledger.connection() as connection:
        connection.execute("SET search_path = public")
        yield Sql(connection, schema_of(ledger.name))


class Sql:
    """SELECTs from a ledger's views."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self.connection = connection
        self.schema = schema

    def __call__(self, select: str) -> list[tuple[Any, ...]]:
        """Its rows; `$` stands for the schema."""
        return self.connection.execute(select.replace("$", self.schema).encode()).fetchall()


@pytest.mark.slow
@pytest.mark.parametrize("view", COLUMNS)
def test_a_view_has_just_these_columns(sql: Sql, view: str) -> None:
    cursor = sql.connection.execute(f"SELECT * FROM {sql.schema}.{view}".encode())
    assert cursor.description is not None
    assert [column.name for column in cursor.description] == COLUMNS[view]


def test_each_view_and_function_for_readers_says_what_it_shows(sql: Sql) -> None:
    message = sql(
        "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class"
        " WHERE relkind = 'v' AND relnamespace = '$'::regnamespace"
    )
    assert {name for name, _ in message} == {
        "google_ml_jobs",
        "history",
        "job_events",
        "job_intervals",
    }
    assert all(comment and comment.endswith(".") for _, comment in message)
    for given in ("timestamptz", "text", "timestamp", "date"):
        [[comment]] = sql(
            f"SELECT obj_description('$.jobs_as_of({given})'::regprocedure, 'pg_proc')"
        )
        assert comment.endswith(".")


def test_google_ml_jobs_shows_the_fields_of_the_service(ledger: Ledger, sql: Sql) -> None:
    spec = {"trainingInput": {"region": "eu-west4"}, "predictionInput": {"runtimeVersion": "2"}}
    ledger.create("projects/p/jobs/a", {"team": "x"}, spec=spec, occurred_time=AT)
    ledger.started("projects/p/jobs/a", occurred_time=AT + timedelta(minutes=1))
    output = {"trainingOutput": {"completedTrialCount": "3"}}
    ledger.succeeded("projects/p/jobs/a", output, occurred_time=AT + timedelta(hours=1))
    ledger.create("projects/q/jobs/other")
    ledger.create("projects/p/locations/l/customJobs/7")
    ledger.create("projects/p/locations/l/jobs/8")
    ledger.create("projects/p/jobs/gone")
    ledger.cancelled("projects/p/jobs/gone")
    ledger.delete("projects/p/jobs/gone")
    [row] = sql("""SELECT * FROM $.google_ml_jobs WHERE "projectsId" = 'p'""")
    job = ledger.get("projects/p/jobs/a")
    assert dict(zip(COLUMNS["google_ml_jobs"], row, strict=True)) == {
        "createTime": AT,
        "endTime": AT + timedelta(hours=1),
        "errorMessage": None,
        "etag": job.etag,
        "jobId": "a",
        "jobPosition": None,
        "labels": {"team": "x"},
        "predictionInput": {"runtimeVersion": "2"},
        "predictionOutput": None,
        "startTime": AT + timedelta(minutes=1),
        "state": "SUCCEEDED",
        "trainingInput": None,  # A job has one of the two inputs.
        "trainingOutput": {"completedTrialCount": "3"},
        "projectsId": "p",
    }


def test_a_queued_job_has_its_place_in_the_queue(ledger: Ledger, sql: Sql) -> None:
    def position() -> Any:
        [[place]] = sql('SELECT "jobPosition" FROM $.google_ml_jobs')
        return place

    ledger.create("projects/p/jobs/a")
    assert position() == 1  # By priority and age, where none was reported.
    ledger.queued("projects/p/jobs/a", 7)
    ledger.queued("projects/p/jobs/a", 2)
    ledger.change_labels("projects/p/jobs/a", {"x": "y"})
    assert position() == 2
    ledger.started("projects/p/jobs/a")
    assert position() is None
    ledger.failed("projects/p/jobs/a")
    ledger.retry("projects/p/jobs/a")
    assert position() == 1


def test_each_state_has_one_of_ml_v1(ledger: Ledger, sql: Sql) -> None:
    known = {"QUEUED", "PREPARING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLING", "CANCELLED"}
    for state in JobState:
        ledger.create(f"projects/p/jobs/j{state}")
    with ledger.connection() as connection:
        for state in JobState:
            name = f"projects/p/jobs/j{state}"
            connection.execute("UPDATE jobs SET state = %s WHERE name = %s", (state.name, name))
    body = {
        int(job[1:]): state for job, state in sql('SELECT "jobId", state FROM $.google_ml_jobs')
    }
    assert set(body.values()) == known
    assert {JobState(n).name for n, state in body.items() if JobState(n).name != state} == {
        "PENDING", "PAUSED", "UPDATING", "PARTIALLY_SUCCEEDED", "EXPIRED",
    }  # fmt: skip


def busy(ledger: Ledger) -> None:
    """Simulated jobs, one deleted, and one whose reports came late."""
    ledger.append_many(simulate(120, 3, "p"))
    for name, hours in (("late", (0, 5, 2)), ("gone", (0, 1, 2))):
        job = f"projects/p/jobs/{name}"
        ledger.create(job, occurred_time=BEGIN + timedelta(hours=hours[0]))
        ledger.started(job, occurred_time=BEGIN + timedelta(hours=hours[1]))
        ledger.failed(job, occurred_time=BEGIN + timedelta(hours=hours[2]))
    ledger.delete("projects/p/jobs/gone", occurred_time=BEGIN + timedelta(hours=3))


@pytest.mark.slow
@pytest.mark.parametrize("followed", [False, True])
def test_jobs_as_of_are_those_that_the_ledger_lists_as_of_then(
    ledger: Ledger, sql: Sql, followed: bool
) -> None:
    """Also before `intervals` has followed, which is what knows of late reports."""
    busy(ledger)
    fields = "name, state, version, attempt, create_time, start_time, end_time, error_message, labels, spec, etag"
    with ledger.connection() as connection:
        if not followed:
            connection.execute("TRUNCATE intervals, state_changes, late_jobs")
            connection.execute("UPDATE projections SET position = 0 WHERE name = 'intervals'")
        else:
            ledger.moment("now", "occurred")
    times = [BEGIN + timedelta(hours=h) for h in (0, 1, 2, 2.5, 4, 6, 30, 100, 400)]
    shown = [set(map(str, sql(f"SELECT {fields} FROM $.jobs_as_of('{t}')"))) for t in times]
    for time, rows in zip(times, shown, strict=True):
        listed = {
            str(tuple(getattr(j.state, "name", None) if f == "state" else getattr(j, f) for f in fields.split(", ")))
            for j in ledger.scan(as_of=time, clock="occurred")
        }  # fmt: skip
        assert rows == listed
    assert any(shown)


@pytest.mark.slow
def test_job_intervals_are_those_of_the_projection(ledger: Ledger, sql: Sql) -> None:
    busy(ledger)
    ledger.moment("now", "occurred")
    expected = sql(
        "SELECT * FROM (SELECT e.name, e.version, $.state_name(i.state) AS state, i.position, lead(i.position) OVER job,"
        " i.occurred_from, lead(i.occurred_from) OVER job, e.recorded_time, lead(e.recorded_time) OVER job"
        " FROM $.intervals AS i JOIN $.events AS e USING (position)"
        " WINDOW job AS (PARTITION BY e.name ORDER BY e.version)) AS i WHERE state <> 'DELETED' ORDER BY position"
    )
    assert sql("SELECT * FROM $.job_intervals ORDER BY from_position") == expected
    of_one = sql("SELECT state, occurred_from, occurred_to FROM $.job_intervals WHERE name = 'projects/p/jobs/late'"
                 " ORDER BY occurred_from")  # fmt: skip
    assert [state for state, _, _ in of_one] == ["QUEUED", "RUNNING", "FAILED"]
    assert of_one[1][2] == of_one[2][1]


@pytest.mark.slow
def test_one_jobs_intervals_are_read_by_its_name(ledger: Ledger, sql: Sql) -> None:
    ledger.append_many(simulate(300, 3, "p"))
    sql.connection.execute("ANALYZE")
    plan = sql("EXPLAIN SELECT * FROM $.job_intervals WHERE name = 'projects/p/jobs/x'")
    assert "events_version" in str(plan)


def test_job_events_are_all_events_of_jobs(ledger: Ledger, sql: Sql) -> None:
    busy(ledger)
    rows = sql("SELECT position, name, type, data FROM $.job_events ORDER BY position")
    assert rows == [(e.position, e.name, e.type, e.json) for e in ledger.events(follow=False)]


@pytest.mark.slow
@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda p: p.name)
def test_a_rebuild_leaves_the_views_and_who_may_read_them(
    dsn: str, ledger: Ledger, projection: Any
) -> None:
    busy(ledger)
    with application_of(dsn, ledger) as application, connect(application.conninfo) as reader:
        sql = Sql(reader, schema_of(ledger.name))

        def seen() -> list[list[str]]:
            return [sorted(map(str, sql(f"SELECT * FROM $.{view}"))) for view in COLUMNS]

        before = seen()
        with ledger.connection() as connection:
            rebuild(connection, projection)
        assert seen() == before
        assert all(before)
        reader.execute("SET default_transaction_read_only = on")
        assert seen() == before


ZONED = [
    "2026-06-03 12:00Z", "2026-06-03 12:00:00.5+02", "2026-06-03T12:00:00+02:00", "2026-06-03 12:00 UTC",
    "2026-06-03 12:00:00 Europe/Berlin", "now", "2026-06-03 12:00-0530",
]  # fmt: skip
UNZONED = [
    "'2026-06-03 12:00'", "'2026-06-03'", "'2026-06-03T12:00:00.25'", "'yesterday'", "'12:00 EST5'", "'2026-06-03 12:00 EST'",
    "timestamp '2026-06-03 12:00'", "date '2026-06-03'", "'2026-06-03+02'", "''",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_a_moment_means_the_same_in_every_session(sql: Sql, ledger: Ledger, zone: str) -> None:
    ledger.create("projects/p/jobs/a", occurred_time=AT)
    sql.connection.execute(f"SET TimeZone = '{zone}'".encode())
    for text in ZONED:
        [[read, wanted]] = sql(f"SELECT $.zoned_time('{text}'), '{text}'::timestamptz")
        assert read == wanted
        assert sql(f"SELECT name FROM $.jobs_as_of('{text}')") == [("projects/p/jobs/a",)]
    assert sql("SELECT name FROM $.jobs_as_of('2026-06-01 09:59Z')") == []
    for expected in UNZONED:
        with pytest.raises(errors.InvalidParameterValue, match="names no time zone"):
            sql(f"SELECT name FROM $.jobs_as_of({expected})")
    naive = AT.replace(tzinfo=None)
    with pytest.raises(errors.InvalidParameterValue, match="names no time zone"):
        select = f"SELECT name FROM {sql.schema}.jobs_as_of(%s)".encode()
        sql.connection.execute(select, (naive,))
