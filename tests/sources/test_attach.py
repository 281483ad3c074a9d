"""Databases of other systems, followed: procrastinate itself, and rows as other systems write them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from time import monotonic, sleep
from typing import Any

import procrastinate
import psycopg
import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.errors import AttachError, LedgerUnavailableError, SourceUnavailableError
from jobledger.infra.eventstore.writes.pending import Pending
from jobledger.infra.sources.attach import follower as following
from jobledger.infra.sources.attach import slot as slot_module
from jobledger.infra.sources.attach.follower import Follower, known_system, slot_name
from jobledger.infra.sources.attach.slot import Slot, lsn_number
from jobledger.infra.sources.mapping.model import ATTACHED, Mapping, read_mapping, shipped

from tests.clusters import Cluster, new_cluster
from tests.command_line import Cli
from tests.databases import copy_database, drop_database, is_waiting, make_database
from tests.interrupts import interrupted_when
from tests.ledgers import new_ledger
from tests.proxies import Proxy
from tests.schemas import make_ledger

S = JobState
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source() -> Iterator[Cluster]:
    """A server whose databases can be followed."""
    with new_cluster(wal_level="logical", max_wal_senders="8", max_replication_slots="8") as made:
        yield made


@pytest.fixture
def database(source: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """The connection string of a database of that server."""
    name = f"db_{abs(hash(request.node.name))}"
    source.execute(f"CREATE DATABASE {name}")
    dsn = psycopg.conninfo.make_conninfo(source.dsn, dbname=name)
    yield dsn
    source.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
    )
    source.execute(f"DROP DATABASE {name} WITH (FORCE)")


def run(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def follower(ledger: Ledger, dsn: str, system: str, **more: Any) -> Follower:
    mapping = read_mapping(system, ATTACHED)
    return Follower(ledger, Slot(dsn, slot_name("test", system)), mapping, "p", **more)


def carry_over(follower: Follower) -> None:
    while follower.carry_over():
        pass
    assert follower.summary.unplaced == []


def carry_over_once(follower: Follower) -> None:
    assert follower.carry_over() > 0
    assert follower.summary.unplaced == []


def jobs(ledger: Ledger) -> dict[str, tuple[JobState | None, int]]:
    found = ledger.list('NOT name : "projects/p/jobs/attach*"')
    return {job.name.rpartition("/")[2]: (job.state, job.attempt) for job in found}


def truth(dsn: str) -> list[tuple[str, str]]:
    """What procrastinate itself says happened: job and type of event, in order."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT job_id, type::text FROM procrastinate_events ORDER BY id")
        return [(f"procrastinate-{id_}", type_) for id_, type_ in rows]


async def work(dsn: str, *, schema: bool = False) -> None:
    """Defers and runs jobs with procrastinate: one works, one works at its second try, one fails."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn))
    tried = []

    @app.task(name="work")
    async def works() -> None:
        await asyncio.sleep(0)

    @app.task(name="flaky", retry=1, pass_context=True)
    async def flaky(context: Any) -> None:
        tried.append(context.job.id)
        if len(tried) == 1:
            raise ValueError("not yet")

    @app.task(name="fail")
    async def fails() -> None:
        raise ValueError("never")

    async with app.open_async():
        if schema:
            await app.schema_manager.apply_schema_async()
        for task in (works, flaky, fails):
            await task.defer_async()
        await app.run_worker_async(wait=False, install_signal_handlers=False)


def test_every_transition_of_procrastinate_is_recorded(ledger: Ledger, database: str) -> None:
    asyncio.run(work(database, schema=True))
    attached = follower(ledger, database, "procrastinate")
    attached.begin()  # What was there before.
    asyncio.run(work(database))
    carry_over(attached)

    message = [each for each in truth(database) if each[1] != "scheduled"]
    assert len({name for name, _ in message}) == 6
    for name in {name for name, _ in message}:
        recorded = [e.json for e in ledger.history(f"projects/p/jobs/{name}")]
        assert sum("sourceEvent" in each for each in recorded) == sum(
            of == name for of, _ in message
        )
    contradicted = [
        e for j in ledger.list() for e in ledger.history(j.name) if e.type == "Contradicted"
    ]
    assert contradicted == []
    assert sorted(jobs(ledger).values()) == sorted(
        [(S.SUCCEEDED, 1), (S.SUCCEEDED, 2), (S.FAILED, 1)] * 2
    )

    run(database, "DELETE FROM procrastinate_jobs WHERE task_name = 'work'")
    carry_over(attached)
    deleted = [j for j in ledger.list() if ledger.history(j.name)[-1].type == "Commented"]
    assert len(deleted) == 2
    assert {job.state for job in deleted} == {S.SUCCEEDED}


def test_a_job_is_created_no_later_than_its_first_event(ledger: Ledger, database: str) -> None:
    asyncio.run(work(database, schema=True))
    attached = follower(ledger, database, "procrastinate")
    attached.begin()
    asyncio.run(work(database))  # The row of a job and its first event are one transaction.
    carry_over(attached)
    histories = [ledger.history(f"projects/p/jobs/{name}") for name in jobs(ledger)]
    assert len(histories) == 6
    for created, *others in histories:
        assert created.type == "Created"
        assert created.occurred_time == min(event.occurred_time for event in others)


def test_recorded_changes_are_not_recorded_again(ledger: Ledger, database: str) -> None:
    asyncio.run(work(database, schema=True))
    attached = follower(ledger, database, "procrastinate")
    attached.begin()
    asyncio.run(work(database))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attached._slot, "advance", lambda _: None)
        attached.carry_over()  # Recorded, and then killed before the source was told.
    size = ledger.size()
    again = follower(ledger, database, "procrastinate")
    assert again.carry_over() > 0
    assert ledger.size() == size
    assert again.carry_over() == 0


ROWS: dict[str, tuple[list[str], list[str], dict[str, tuple[JobState, int]]]] = {
    "airflow": (
        [
            "CREATE TABLE dag_run (id serial PRIMARY KEY, dag_id text, run_id text, queued_at timestamptz, start_date timestamptz,"
            " end_date timestamptz, state text, run_type text, logical_date timestamptz, conf jsonb, triggering_user_name text, clear_number int DEFAULT 0)",
            "CREATE TABLE task_instance (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), dag_id text, run_id text, task_id text, map_index int DEFAULT -1,"
            " start_date timestamptz, end_date timestamptz, state text, try_number int DEFAULT 0, hostname text, operator text, pool text, queue text,"
            " unixname text, scheduled_dttm timestamptz, queued_dttm timestamptz, last_heartbeat_at timestamptz)",
            "CREATE TABLE task_instance_history (task_instance_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), dag_id text, run_id text, task_id text,"
            " map_index int DEFAULT -1, try_number int, start_date timestamptz, end_date timestamptz, state text, hostname text, retry_reason text)",
        ],
        [
            "INSERT INTO dag_run (dag_id, run_id, queued_at, state, run_type) VALUES ('etl', 'r1', now(), 'queued', 'scheduled')",
            "UPDATE dag_run SET state = 'running', start_date = now()",
            "INSERT INTO task_instance (dag_id, run_id, task_id) VALUES ('etl', 'r1', 'load'), ('etl', 'r1', 'skip')",
            "UPDATE task_instance SET state = 'scheduled', scheduled_dttm = now(), try_number = 1 WHERE task_id = 'load'",
            "UPDATE task_instance SET state = 'queued', queued_dttm = now() WHERE task_id = 'load'",
            "UPDATE task_instance SET state = 'running', start_date = now(), hostname = 'n1' WHERE task_id = 'load'",
            "UPDATE task_instance SET last_heartbeat_at = now() WHERE task_id = 'load'",
            "UPDATE task_instance SET state = 'up_for_retry', end_date = now() WHERE task_id = 'load'",
            "UPDATE task_instance SET state = 'scheduled', scheduled_dttm = now(), try_number = 2 WHERE task_id = 'load'",
            "UPDATE task_instance SET state = 'running', start_date = now(), end_date = NULL WHERE task_id = 'load'",
            "UPDATE task_instance SET state = 'success', end_date = now() WHERE task_id = 'load'",
            "UPDATE task_instance SET state = 'skipped' WHERE task_id = 'skip'",
            "UPDATE dag_run SET state = 'success', end_date = now()",
            # Cleared by hand: the run, and its task, run again.
            "UPDATE dag_run SET state = 'queued', queued_at = now(), clear_number = 1, start_date = NULL, end_date = NULL",
            "UPDATE dag_run SET state = 'running', start_date = now()",
            "UPDATE dag_run SET state = 'failed', end_date = now()",
        ],
        {
            "etl_x2F_r1": (S.FAILED, 2),
            "etl_x2F_r1_x2F_load_x2F_-1": (S.SUCCEEDED, 2),
            "etl_x2F_r1_x2F_skip_x2F_-1": (S.CANCELLED, 1),
        },
    ),
    "river": (
        [
            "CREATE TABLE river_job (id bigserial PRIMARY KEY, state text, attempt smallint DEFAULT 0, max_attempts smallint DEFAULT 3,"
            " attempted_at timestamptz, created_at timestamptz DEFAULT now(), scheduled_at timestamptz DEFAULT now(), finalized_at timestamptz, kind text, queue text, args jsonb, errors jsonb[], metadata jsonb)",
        ],
        [
            "INSERT INTO river_job (state, kind, queue, args, metadata) VALUES ('available', 'email', 'default', '{\"to\": 1}', '{\"river:periodic_job_id\": \"digest\"}')",
            "UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now()",
            "UPDATE river_job SET state = 'retryable', errors = array['{\"error\": \"x\"}'::jsonb]",
            "UPDATE river_job SET state = 'running', attempt = 2, attempted_at = now()",
            "UPDATE river_job SET state = 'completed', finalized_at = now()",
        ],
        {"river-1": (S.SUCCEEDED, 2)},
    ),
    "dagster": (
        [
            "CREATE TABLE runs (id serial PRIMARY KEY, run_id text, pipeline_name text, status text, run_body text, partition text,"
            " create_timestamp timestamp DEFAULT timezone('utc', now()), update_timestamp timestamp, start_time float8, end_time float8)",
            "CREATE TABLE event_logs (id serial PRIMARY KEY, run_id text, event text, dagster_event_type text, timestamp timestamp, step_key text)",
        ],
        [
            "INSERT INTO runs (run_id, pipeline_name, status, run_body) VALUES ('a1', 'daily', 'NOT_STARTED',"
            """ '{"parent_run_id": "a0", "root_run_id": "z", "tags": {"dagster/schedule_name": "nightly"}}')""",
            *(f"UPDATE runs SET status = '{each}'" for each in ("QUEUED", "STARTING", "STARTED")),
            *(
                "INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp, step_key) VALUES ('a1', '{\"pipeline_name\": \"daily\"}',"
                f" '{each}', timezone('utc', clock_timestamp()), 'load')"
                for each in ("STEP_START", "STEP_UP_FOR_RETRY", "STEP_RESTARTED", "STEP_OUTPUT", "STEP_FAILURE")
            ),
            "INSERT INTO event_logs (run_id, event, dagster_event_type) VALUES ('a1', '{\"dagster_event\": {\"message\": \"Steps failed\"}}', 'PIPELINE_FAILURE')",
            "UPDATE runs SET status = 'FAILURE'",
        ],
        {"a1": (S.FAILED, 1), "a1_x2F_load": (S.FAILED, 2)},
    ),
    "prefect": (
        [
            "CREATE TABLE flow_run (id text PRIMARY KEY, name text, created timestamptz DEFAULT now(), flow_id text, parameters json, deployment_id text,"
            " parent_task_run_id text, created_by jsonb, expected_start_time timestamptz DEFAULT now())",
            "CREATE TABLE task_run (id text PRIMARY KEY, name text, created timestamptz DEFAULT now(), flow_run_id text, task_key text, dynamic_key text,"
            " expected_start_time timestamptz DEFAULT now())",
            "CREATE TABLE flow_run_state (id serial PRIMARY KEY, flow_run_id text, type text, timestamp timestamptz DEFAULT clock_timestamp(), name text, message text)",
            "CREATE TABLE task_run_state (id serial PRIMARY KEY, task_run_id text, type text, timestamp timestamptz DEFAULT clock_timestamp(), name text, message text)",
        ],
        [
            """INSERT INTO flow_run (id, name, parent_task_run_id, created_by) VALUES ('f1', 'brave-owl', 't0', '{"display_value": "ada"}')""",
            "INSERT INTO task_run (id, name, flow_run_id, task_key) VALUES ('t1', 'load-0', 'f1', 'load')",
            *(
                f"INSERT INTO flow_run_state (flow_run_id, type, name, message) VALUES ('f1', '{type_}', '{type_}', 'm')"
                for type_ in ("SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "CRASHED")
            ),
            *(
                f"INSERT INTO task_run_state (task_run_id, type, name, message) VALUES ('t1', '{type_}', '{type_}', 'm')"
                for type_ in ("PENDING", "RUNNING", "COMPLETED")
            ),
        ],
        {"flow-run-f1": (S.FAILED, 2), "task-run-t1": (S.SUCCEEDED, 1)},
    ),
    "dbos": (
        [
            "CREATE SCHEMA dbos",
            "CREATE TABLE dbos.workflow_status (workflow_uuid text PRIMARY KEY, status text, name text, class_name text, authenticated_user text, error text, queue_name text,"
            " parent_workflow_id text, forked_from text, created_at bigint DEFAULT extract(epoch FROM now()) * 1000,"
            " updated_at bigint)",
        ],
        [
            "INSERT INTO dbos.workflow_status (workflow_uuid, status, name, parent_workflow_id, forked_from) VALUES ('w1', 'ENQUEUED', 'checkout', 'w0', 'v1')",
            "UPDATE dbos.workflow_status SET status = 'PENDING'",
            "UPDATE dbos.workflow_status SET status = 'CANCELLED'",
            "UPDATE dbos.workflow_status SET status = 'ENQUEUED'",
            "UPDATE dbos.workflow_status SET status = 'PENDING'",
            "UPDATE dbos.workflow_status SET status = 'ERROR', error = 'card declined'",
        ],
        {"w1": (S.FAILED, 2)},
    ),
}  # fmt: skip


RELATED = {
    "airflow": ("etl_x2F_r1_x2F_load_x2F_-1", ["etl_x2F_r1"], "etl_x2F_r1", None),
    "dagster": ("a1", ["a0"], "z", "nightly"),
    "dbos": ("w1", ["w0"], None, "v1"),
    "prefect": ("flow-run-f1", ["task-run-t0"], None, "ada"),
    "river": ("river-1", [], None, "digest"),
}
"""A job of each system's rows, its parents, its root, and what began it."""


@pytest.mark.parametrize("system", ROWS)
def test_rows_of_other_systems(ledger: Ledger, database: str, system: str) -> None:
    made, changed, expected = ROWS[system]
    run(database, *made)
    attached = follower(ledger, database, system)
    attached.begin()
    for statement in changed:
        run(database, statement)
        carry_over(attached)
    assert jobs(ledger) == expected
    for name in expected:
        assert "Contradicted" not in [e.type for e in ledger.history(f"projects/p/jobs/{name}")], (
            name
        )
    name, *related = RELATED[system]
    job = ledger.get(f"projects/p/jobs/{name}")
    short = [each.rpartition("/")[2] for each in job.parents]
    assert [short, job.root and job.root.rpartition("/")[2], job.triggered_by] == related
    if system == "prefect":
        task = ledger.get("projects/p/jobs/task-run-t1")
        assert task.parents == ["projects/p/jobs/flow-run-f1"]
    table = attached._mapping.source.tables[0]
    run(database, f"DELETE FROM {table}")
    carry_over(attached)
    assert jobs(ledger) == expected


def test_errors_of_river_are_those_of_each_attempt(ledger: Ledger, database: str) -> None:
    """They are an array of JSON, to which each attempt adds one."""
    run(database, *ROWS["river"][0], ROWS["river"][1][0])
    attached = follower(ledger, database, "river")
    attached.begin()
    first = """{"at": "2026-11-01T10:00:00.123456789Z", "attempt": 1, "error": "no \\"quota\\"", "trace": "a:1"}"""
    second = (
        """{"at": "2026-11-01T10:01:00Z", "attempt": 2, "error": "{still none}", "trace": ""}"""
    )
    for attempt, (state, error) in enumerate([("retryable", first), ("discarded", second)], 1):
        run(
            database,
            f"UPDATE river_job SET state = 'running', attempt = {attempt}, attempted_at = '2026-11-01T10:0{attempt - 1}:00Z'",
            f"UPDATE river_job SET state = '{state}', errors = errors || ARRAY['{error}'::jsonb],"
            " finalized_at = '2026-11-01T10:02:00Z'",
        )  # fmt: skip
    carry_over(attached)
    failed = [
        event for event in ledger.history("projects/p/jobs/river-1") if event.type == "Failed"
    ]
    assert [event.json["error"]["message"] for event in failed] == ['no "quota"', "{still none}"]
    begin = datetime(2026, 11, 1, 10, 0, 0, 123456, tzinfo=UTC)
    assert failed[0].occurred_time > begin  # `at` is when the attempt began.
    assert [event.json.get("traceback") for event in failed] == ["a:1", None]


def test_a_job_that_river_tries_again_soon_has_failed_before(ledger: Ledger, database: str) -> None:
    """It is available at once, without being retryable; so is a job that its worker puts off."""
    run(database, *ROWS["river"][0], ROWS["river"][1][0])
    attached = follower(ledger, database, "river")
    attached.begin()
    run(
        database,
        "UPDATE river_job SET state = 'running', attempt = 1, attempted_at = clock_timestamp()",
        'UPDATE river_job SET state = \'available\', errors = array[\'{"error": "x", "trace": "a:1"}\'::jsonb]',
        "UPDATE river_job SET state = 'running', attempt = 2, attempted_at = clock_timestamp()",
        "UPDATE river_job SET state = 'completed', finalized_at = clock_timestamp()",
        # Retried by hand, cancelled before it runs, and retried by hand again.
        "UPDATE river_job SET state = 'available', finalized_at = NULL",
        "UPDATE river_job SET state = 'cancelled', finalized_at = clock_timestamp()",
        "UPDATE river_job SET state = 'available', finalized_at = NULL",
        "UPDATE river_job SET state = 'running', attempt = 3, attempted_at = clock_timestamp()",
    )
    carry_over(attached)
    history = list(ledger.history("projects/p/jobs/river-1"))
    assert [event.type for event in history[1:]] == [
        "Started", "Failed", "Retried", "Started", "Succeeded", "Retried", "Cancelled", "Retried", "Started",
    ]  # fmt: skip
    assert "traceback" not in history[5].json
    assert history[2].occurred_time > history[1].occurred_time
    assert jobs(ledger) == {"river-1": (S.RUNNING, 4)}


def test_jobs_of_river_that_wait_when_it_is_attached(ledger: Ledger, database: str) -> None:
    error = """{"at": "2026-11-01T10:02:00.123456789Z", "attempt": 2, "error": "x", "trace": ""}"""
    run(
        database,
        *ROWS["river"][0],
        "INSERT INTO river_job (state, attempt, created_at, attempted_at, finalized_at, errors) VALUES"
        f" ('retryable', 2, '2026-11-01T10:00Z', '2026-11-01T10:02Z', NULL, ARRAY['{error}'::jsonb]),"
        " ('scheduled', 0, '2026-11-01T10:00Z', '2026-11-01T10:02Z', NULL, NULL),"
        " ('cancelled', 0, '2026-11-01T10:00Z', NULL, '2026-11-01T10:02Z', NULL),"
        f" ('discarded', 2, '2026-11-01T10:00Z', '2026-11-01T10:02Z', '2026-11-01T10:03Z', ARRAY['{error}'::jsonb])",
    )
    attached = follower(ledger, database, "river")
    attached.begin()
    carry_over(attached)
    assert jobs(ledger) == {
        "river-1": (S.QUEUED, 3),
        "river-2": (S.QUEUED, 1),
        "river-3": (S.CANCELLED, 1),
        "river-4": (S.FAILED, 2),
    }
    run(database, "UPDATE river_job SET state = 'running', attempt = 3, attempted_at = now() WHERE id = 1")  # fmt: skip
    carry_over(attached)
    assert jobs(ledger)["river-1"] == (S.RUNNING, 3)
    assert attached.summary.contradicted == 0


def test_a_job_that_river_puts_off_is_paused(ledger: Ledger, database: str) -> None:
    run(database, *ROWS["river"][0], ROWS["river"][1][0])
    attached = follower(ledger, database, "river")
    attached.begin()
    starts = "UPDATE river_job SET state = 'running', attempt = 1, attempted_at = clock_timestamp()"
    run(
        database,
        starts,
        "UPDATE river_job SET state = 'scheduled', attempt = 0, scheduled_at = '2030-01-01'",
    )
    carry_over(attached)
    paused = list(ledger.history("projects/p/jobs/river-1"))[-1]
    assert paused.state is S.PAUSED
    assert paused.json == {"reason": "put off until 2030-01-01 00:00:00+00"}
    run(
        database,
        starts,
        "UPDATE river_job SET state = 'completed', finalized_at = clock_timestamp()",
    )
    carry_over(attached)
    assert jobs(ledger) == {"river-1": (S.SUCCEEDED, 1)}
    assert attached.summary.contradicted == 0


def test_earlier_tries_of_airflow_are_recorded_when_it_is_attached(
    ledger: Ledger, database: str
) -> None:
    run(
        database,
        *ROWS["airflow"][0],
        "INSERT INTO dag_run (dag_id, run_id, start_date, state) VALUES ('etl', 'r1', '2026-11-01T10:00Z', 'running')",
        "INSERT INTO task_instance_history (dag_id, run_id, task_id, try_number, start_date, end_date, state, hostname) VALUES"
        " ('etl', 'r1', 'load', 2, '2026-11-01T10:03Z', '2026-11-01T10:04Z', 'success', 'n2'),"
        " ('etl', 'r1', 'load', 1, '2026-11-01T10:01Z', '2026-11-01T10:02Z', 'failed', 'n1'),"
        " ('etl', 'r1', 'skip', 1, NULL, '2026-11-01T10:01Z', 'upstream_failed', NULL)",
        "INSERT INTO task_instance (dag_id, run_id, task_id, try_number, start_date, end_date, state, hostname) VALUES"
        " ('etl', 'r1', 'load', 3, '2026-11-01T10:05Z', NULL, 'running', 'n3'),"
        " ('etl', 'r1', 'skip', 2, '2026-11-01T10:02Z', '2026-11-01T10:03Z', 'failed', 'n1')",
        # The try that waits to be repeated is in both tables.
        "INSERT INTO task_instance_history (dag_id, run_id, task_id, try_number, start_date, end_date, state) VALUES"
        " ('etl', 'r1', 'skip', 2, '2026-11-01T10:02Z', '2026-11-01T10:03Z', 'failed')",
    )  # fmt: skip
    follower(ledger, database, "airflow").begin()
    load, skip = (f"projects/p/jobs/etl_x2F_r1_x2F_{task}_x2F_-1" for task in ("load", "skip"))
    told = [(e.type, e.json.get("runId"), e.occurred_time.minute) for e in ledger.history(load)]
    assert told == [
        ("Created", None, 1), ("Started", "try-1", 1), ("Failed", "try-1", 2), ("Started", "try-2", 3),
        ("Succeeded", "try-2", 4), ("Started", "try-3", 5),
    ]  # fmt: skip
    assert [e.type for e in ledger.history(skip)] == ["Created", "Cancelled", "Started", "Failed"]
    assert jobs(ledger)["etl_x2F_r1_x2F_skip_x2F_-1"] == (S.FAILED, 2)


def test_every_system_is_tested() -> None:
    assert sorted([*ROWS, "procrastinate"]) == shipped(ATTACHED)


def test_equal_changes_are_all_recorded_and_each_once(ledger: Ledger, database: str) -> None:
    made, changed, _ = ROWS["airflow"]
    run(database, *made)
    attached = follower(ledger, database, "airflow")
    attached.begin()
    again = "UPDATE task_instance SET state = '{}' WHERE task_id = 'load'"
    run(database, *changed[:5], *(again.format(state) for state in ("scheduled", "queued") * 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attached._slot, "advance", lambda _: None)
        carry_over_once(attached)
    size = ledger.size()
    carry_over(follower(ledger, database, "airflow"))
    assert ledger.size() == size
    history = ledger.history("projects/p/jobs/etl_x2F_r1_x2F_load_x2F_-1")
    assert [event.type for event in history] == ["Created", *["Queued"] * 6]


def test_an_interrupted_beginning_is_done_again(ledger: Ledger, database: str) -> None:
    run(database, *ROWS["river"][0], *[ROWS["river"][1][0]] * 3)
    attached = follower(ledger, database, "river")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attached, "_record", lambda events: list(islice(events, 2)) and 1 / 0)
        with pytest.raises(ZeroDivisionError):
            attached.begin()
    run(database, ROWS["river"][1][0])
    again = follower(ledger, database, "river")
    assert again.must_begin()
    again.begin()
    assert not again.must_begin()
    carry_over(again)
    assert jobs(ledger) == {f"river-{n}": (S.QUEUED, 1) for n in (1, 2, 3, 4)}


def test_ctrl_c_ends_the_wait_for_transactions_of_the_source(ledger: Ledger, database: str) -> None:
    run(database, *ROWS["river"][0])
    attached = follower(ledger, database, "river")
    with psycopg.connect(database) as open_:
        open_.execute("SET idle_in_transaction_session_timeout = '20s'")
        open_.execute("SELECT pg_current_xact_id()")
        with interrupted_when(partial(is_waiting, open_)):
            attached.begin()
        open_.rollback()
    assert attached.must_begin()
    attached.begin()


def follow_all(ledger: Ledger, database: str, system: str) -> Follower:
    """Follows a source from its first row through all of its changes."""
    made, changed, _ = ROWS[system]
    run(database, *made)
    attached = follower(ledger, database, system)
    attached.begin()
    run(database, *changed)
    carry_over(attached)
    return attached


def attach_again(ledger: Ledger, database: str, system: str) -> list[str]:
    """Follows from a new slot; returns the types of the events that were new, besides the attachment's own two."""
    run(database, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    size = ledger.size()
    follower(ledger, database, system).begin()
    found = ledger.events(size, follow=False)
    new = [event for event in found if "/jobs/attach." not in event.name]
    assert ledger.size() == size + 2 + len(new)
    return [event.type for event in new]


@pytest.mark.parametrize("system", sorted(ROWS))
def test_rows_that_are_known_are_not_recorded_again(
    ledger: Ledger, database: str, system: str
) -> None:
    follow_all(ledger, database, system)
    assert attach_again(ledger, database, system) == []
    assert jobs(ledger) == ROWS[system][2]


@pytest.mark.parametrize(
    ("system", "unseen", "new", "name", "after"),
    [
        (
            "dbos",
            "UPDATE dbos.workflow_status SET status = 'PENDING', error = NULL",
            ["Started"],
            "w1",
            (S.RUNNING, 3),
        ),
        (
            "airflow",
            "UPDATE task_instance SET state = 'failed', end_date = now() WHERE task_id = 'load'",
            ["Contradicted"],
            "etl_x2F_r1_x2F_load_x2F_-1",
            (S.SUCCEEDED, 2),
        ),
    ],
)
def test_what_changed_while_nobody_followed_is_recorded_once(
    ledger: Ledger,
    database: str,
    system: str,
    unseen: str,
    new: list[str],
    name: str,
    after: tuple[JobState, int],
) -> None:
    follow_all(ledger, database, system)
    run(database, unseen)
    assert attach_again(ledger, database, system) == new
    assert jobs(ledger)[name] == after
    assert attach_again(ledger, database, system) == []


def test_what_was_done_to_the_source_is_undone(ledger: Ledger, database: str) -> None:
    run(database, *ROWS["airflow"][0], "ALTER TABLE dag_run REPLICA IDENTITY NOTHING")
    attached = follower(ledger, database, "airflow")
    tables = ["dag_run", "task_instance"]
    before = attached._slot.identities(tables)
    for _ in range(2):
        attached.begin()
        run(database, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    assert set(attached._slot.identities(tables).values()) == {"FULL"}
    attached.end()
    assert attached._slot.identities(tables) == before
    assert before["dag_run"] == "NOTHING"


def test_tables_of_a_newer_mapping_are_followed_too(
    cli: Cli, ledger: Ledger, database: str
) -> None:
    """A mapping of an earlier version followed fewer tables."""
    made, changed, expected = ROWS["dagster"]
    run(database, *made)
    name = slot_name(ledger.name, "dagster")
    newer = read_mapping("dagster", ATTACHED)
    earlier = newer.model_copy(
        update={"source": newer.source.model_copy(update={"tables": ("runs",)})}
    )
    Follower(ledger, Slot(database, name), earlier, "p").begin()
    answer = cli.run("attach", database, "--as", "dagster", "--once")
    assert f"adding event_logs to publication {name}" in " ".join(answer.stderr.split())
    run(database, *changed)
    cli("attach", database, "--as", "dagster", "--once")
    assert jobs(ledger) == expected
    assert ledger.get("projects/p/jobs/a1").error_message == "Steps failed"
    assert ledger.get("projects/p/jobs/a1_x2F_load").parents == ["projects/p/jobs/a1"]


def test_a_role_without_rights_on_the_tables(ledger: Ledger, database: str) -> None:
    run(database, *ROWS["river"][0], "CREATE ROLE other LOGIN REPLICATION")
    other = psycopg.conninfo.make_conninfo(database, user="other")
    with pytest.raises(AttachError, match="must be owner of table river_job in the source"):
        follower(ledger, other, "river").begin()
    run(database, "ALTER TABLE river_job RENAME created_at TO made_at")
    given = read_mapping("river", ATTACHED).model_dump()
    given["source"]["snapshot"] = {"river_job": "SELECT created_at FROM river_job"}
    slot = Slot(database, slot_name("test", "river"))
    with pytest.raises(AttachError, match=r"not one that the mapping is for: .*created_at"):
        Follower(ledger, slot, Mapping.model_validate(given), "p").begin()


def test_it_follows_until_it_is_stopped(ledger: Ledger, database: str) -> None:
    run(database, *ROWS["river"][0])
    attached, stop = follower(ledger, database, "river"), Signal()
    attached.begin()
    following = Thread(target=attached.follow, args=(stop,))
    following.start()
    try:
        run(database, *ROWS["river"][1])
        for event in ledger.events(0, follow=True):
            if event.name.endswith("river-1") and event.type == "Succeeded":
                break
    finally:
        stop.set()
        following.join(30)
    assert jobs(ledger) == {"river-1": (S.SUCCEEDED, 2)}


def test_a_source_that_cannot_be_followed(ledger: Ledger, database: str, dsn: str) -> None:
    with pytest.raises(AttachError, match=r"there is no river_job in that database"):
        follower(ledger, database, "river").begin()
    run(database, *ROWS["river"][0])
    follower(ledger, database, "river").begin()
    with pytest.raises(AttachError, match="exists already"):
        follower(ledger, database, "river").begin()
    with pytest.raises(AttachError, match="ALTER SYSTEM SET wal_level = logical"):
        follower(ledger, dsn, "river").begin()
    run(database, "CREATE ROLE plain LOGIN")
    plain = psycopg.conninfo.make_conninfo(database, user="plain")
    with pytest.raises(AttachError, match="ALTER ROLE plain REPLICATION"):
        follower(ledger, plain, "river").begin()
    with pytest.raises(InvalidFieldError, match="did you mean airflow"):
        known_system("airflw", shipped(ATTACHED))
    with pytest.raises(InvalidFieldError, match="use a shorter"):
        slot_name("x" * 60, "river")


def test_a_mapping_of_files_is_not_for_a_database(cli: Cli, tmp_path: Path) -> None:
    history = {"name": "{id}", "events": [{"event": "Started", "time": "begin"}]}
    mapping = {"title": "runs", "source": {"kind": "csv"}, "histories": [history]}
    (file := tmp_path / "runs.yaml").write_text(json.dumps(mapping))
    done = cli.run("attach", "host=127.0.0.1 port=1", "--as", str(file), "--once")
    assert (done.returncode, "is a mapping of files" in done.stderr) == (2, True)


def test_an_unknown_version_is_refused(ledger: Ledger, database: str) -> None:
    run(database, *ROWS["river"][0])
    given = read_mapping("river", ATTACHED).model_dump()
    given["source"] |= {"version": "SELECT 'v9' AS version", "versions": ["v6", "v7"]}
    slot = Slot(database, slot_name("test", "river"))
    with pytest.raises(AttachError, match=r"version 'v9'; known are v6, v7"):
        Follower(ledger, slot, Mapping.model_validate(given), "p").begin()
    assert slot.status() is None


def test_a_lost_slot_is_a_gap_that_is_recorded(ledger: Ledger, database: str) -> None:
    run(database, *ROWS["river"][0])
    attached = follower(ledger, database, "river")
    attached.begin()
    run(database, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    with pytest.raises(AttachError, match="there is no slot"):
        attached.carry_over()
    last = ledger.history("projects/p/jobs/attach.jobledger_test_river")[-1]
    assert last.type == "Failed"
    assert last.json["error"]["message"].startswith("gap: ")
    assert last.json["gap"]["untilTime"]


def test_a_ledger_restored_to_an_earlier_moment_has_a_gap_that_is_recorded(
    source: Cluster, database: str
) -> None:
    made, changed, expected = ROWS["river"]
    run(database, *made, "CREATE TABLE others (n integer)")
    now = make_database(source.dsn, "now")
    name = make_ledger(now)
    with Ledger.open(now, name) as ledger:
        attached = follower(ledger, database, "river")
        attached.begin()
        run(database, changed[0])
        carry_over(attached)
        run(database, "INSERT INTO others VALUES (1)")
        assert attached.carry_over() == 0  # The source removes this part of its log, too.
    backup = copy_database(source.dsn, "now", "backup")
    with Ledger.open(now, name) as ledger:
        run(database, *changed[1:])
        carry_over(follower(ledger, database, "river"))
    with Ledger.open(backup, name) as ledger:
        attached = follower(ledger, database, "river")
        with pytest.raises(AttachError, match="earlier moment: detached; attach again"):
            attached.carry_over()
        gap = ledger.history("projects/p/jobs/attach.jobledger_test_river")[-1]
        assert gap.type == "Failed"
        assert f"the changes up to {gap.json['gap']['fromLsn']}," in gap.json["error"]["message"]
        assert attached.must_begin()
        attached.begin()
        carry_over(attached)
        assert jobs(ledger) == expected
    for of in ("now", "backup"):
        drop_database(source.dsn, of)


def test_no_change_is_lost_while_the_ledger_is_away(
    ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(database, *ROWS["river"][0])
    attached = follower(ledger, database, "river")
    attached.begin()
    run(database, *ROWS["river"][1])
    with monkeypatch.context() as away:

        def refuse(_: Pending) -> None:
            raise LedgerUnavailableError("it is away")

        away.setattr(ledger.writer, "submit", refuse)
        with pytest.raises(LedgerUnavailableError):
            attached.carry_over()
    assert attached.summary.unplaced_count == 0
    carry_over(attached)
    assert jobs(ledger) == {"river-1": (S.SUCCEEDED, 2)}


def test_a_change_that_cannot_be_placed_is_noted(ledger: Ledger, database: str) -> None:
    run(database, *ROWS["dagster"][0])
    attached = follower(ledger, database, "dagster")
    attached.begin()
    run(database, "INSERT INTO runs (run_id, pipeline_name, status) VALUES ('a1', 'daily', 'NEW')")
    attached.carry_over()
    note = ledger.history("projects/p/jobs/attach.jobledger_test_dagster")[-1]
    assert note.type == "Commented"
    assert note.json["note"] == "1 changes could not be placed"
    assert "'NEW' is none of" in note.json["reasons"][0]


def test_an_unreachable_source_is_reported(ledger: Ledger) -> None:
    attached = follower(ledger, "host=127.0.0.1 port=9 dbname=x", "river")
    with pytest.raises(SourceUnavailableError, match="its server cannot be reached"):
        attached.carry_over()


def test_a_slot_never_fills_the_sources_disk(ledger: Ledger, database: str) -> None:
    run(database, *ROWS["river"][0])
    attached = follower(ledger, database, "river", max_bytes=1)
    attached.begin()
    run(database, *ROWS["river"][1])
    with pytest.raises(AttachError, match="is the limit: detached"):
        attached.check_size()
    assert attached._slot.status() is None
    last = ledger.history("projects/p/jobs/attach.jobledger_test_river")[-1]
    assert last.json["gap"]["fromLsn"]


def test_a_part_of_the_log_without_changes_is_let_go(
    ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(database, *ROWS["river"][0], "CREATE TABLE others (n integer)")
    attached = follower(ledger, database, "river")
    attached.begin()
    begun = attached._slot.status()
    # Smaller parts than the other table's changes take.
    monkeypatch.setattr(slot_module, "BATCH_BYTES", 64 * 1024)
    run(database, "INSERT INTO others SELECT generate_series(1, 5000)")
    assert attached.carry_over() == 0
    let_go = attached._slot.status()
    assert begun is not None and begun.confirmed_lsn is not None
    assert let_go is not None and let_go.confirmed_lsn is not None
    gone = lsn_number(let_go.confirmed_lsn) - lsn_number(begun.confirmed_lsn)
    assert gone > 2 * 64 * 1024
    run(database, "INSERT INTO others SELECT generate_series(1, 5000)", *ROWS["river"][1])
    carry_over(attached)
    assert jobs(ledger) == {"river-1": (S.SUCCEEDED, 2)}


def test_the_commands(cli: Cli, ledger: Ledger, database: str) -> None:
    refused = cli.run("attach", database, "--as", "river", "--once")
    assert refused.stderr == "jobledger: tables: there is no river_job in that database\n"
    run(database, *ROWS["river"][0], ROWS["river"][1][0])
    done = cli.run("attach", database, "--as", "river", "--once")
    assert done.returncode == 0, done.stderr
    assert "setting REPLICA IDENTITY FULL on river_job" in done.stderr
    assert "1 changes read, 1 events recorded" in done.stdout
    run(database, *ROWS["river"][1][1:])
    assert "4 changes read" in cli("attach", database, "--as", "river", "--once")
    assert jobs(ledger) == {"river-1": (S.SUCCEEDED, 2)}
    assert "bytes behind" in cli("attach", "status", database, "--as", "river")
    assert "detached" in cli("detach", database, "--as", "river")
    assert cli.run("attach", "status", database, "--as", "river").returncode == 1


def test_following_continues_after_the_source_and_the_ledger_were_away(
    dsn: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.1)
    run(database, *ROWS["river"][0])
    stop = Signal()
    with (
        closing(Proxy(database)) as source,
        closing(Proxy(dsn)) as way,
        new_ledger(dsn) as name,
        Ledger.open(way.dsn, name) as away,
        Ledger.open(dsn, name) as ledger,
    ):
        monkeypatch.setattr(away.writer.committer, "_reconnect_timeout", 0.2)
        attached = follower(away, source.dsn, "river")
        attached.begin()
        thread = Thread(target=attached.follow, args=(stop,))
        thread.start()
        try:
            for number, one in enumerate((source, way, source), 1):
                one.cut()
                run(database, ROWS["river"][1][0])
                sleep(0.5)
                assert thread.is_alive()
                one.mend()
                deadline = monotonic() + 60
                while f"river-{number}" not in jobs(ledger):
                    assert monotonic() < deadline
                    sleep(0.1)
        finally:
            stop.set()
            thread.join(60)
        assert attached.summary.unplaced == []
        assert jobs(ledger) == {f"river-{n}": (S.QUEUED, 1) for n in (1, 2, 3)}


def test_changes_may_be_days_old_and_a_clock_years_off_is_noted(
    ledger: Ledger, database: str
) -> None:
    run(database, *ROWS["airflow"][0])
    attached = follower(ledger, database, "airflow")
    attached.begin()
    later = "INSERT INTO task_instance (dag_id, run_id, task_id, state, try_number, scheduled_dttm, start_date) VALUES"
    run(
        database,
        f"{later} ('d', 'r', 'old', 'running', 1, now() - interval '3 days', now() - interval '3 days')",
        f"{later} ('d', 'r', 'ahead', 'running', 1, now() + interval '3 years', now() + interval '3 years')",
        f"{later} ('d', 'r', 'now', 'running', 1, now(), now())",
    )
    attached.carry_over()
    assert {name.split("_x2F_")[2] for name in jobs(ledger)} == {"old", "now"}
    old = ledger.get("projects/p/jobs/d_x2F_r_x2F_old_x2F_-1")
    assert (old.state, old.start_time < datetime.now(UTC) - timedelta(days=2)) == (S.RUNNING, True)  # type: ignore[operator]
    note = ledger.history("projects/p/jobs/attach.jobledger_test_airflow")[-1]
    assert note.json["note"] == "1 changes could not be placed"
    assert "more than a day" in note.json["reasons"][0]


def test_a_table_that_is_rewritten_or_emptied_or_changed(ledger: Ledger, database: str) -> None:
    made, changed, expected = ROWS["river"]
    run(database, *made)
    attached = follower(ledger, database, "river")
    attached.begin()
    run(database, changed[0], "VACUUM FULL river_job", "CLUSTER river_job USING river_job_pkey")
    run(
        database,
        "ALTER TABLE river_job ADD COLUMN more text DEFAULT 'x', ALTER kind TYPE varchar(90)",
    )
    run(database, *changed[1:], "TRUNCATE river_job")
    carry_over(attached)
    assert jobs(ledger) == expected
