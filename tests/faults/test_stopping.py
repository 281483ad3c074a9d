"""A process that is asked to stop ends within seconds, even if the database does not answer."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from jobledger.infra import Ledger
from jobledger.infra.postgres.connections import schema_of
from jobledger.infra.programs.leases import keep_lease
from jobledger.infra.upkeep.verify import verify
from psycopg.conninfo import make_conninfo

from tests.command_line import PROGRAM
from tests.http.test_http import refusal
from tests.http.test_http_stream import eventually
from tests.ledgers import new_ledger
from tests.servers import TIMEOUT_SECONDS, Server, serving

pytestmark = pytest.mark.slow

NAME = "projects/p/jobs/a"
APPLICATION = "stopping"


@contextmanager
def locked_head(dsn: str, ledger: Ledger) -> Iterator[None]:
    """Holds a lock that every write needs."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"UPDATE {schema_of(ledger.name)}.head SET size = size".encode())
        yield
        connection.rollback()


@contextmanager
def stopped_backends(dsn: str) -> Iterator[None]:
    """Stops PostgreSQL's processes of the program, so that no statement can be cancelled."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        backends = of_program(connection)
        assert backends
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in backends:
                os.kill(pid, signal.SIGCONT)
        eventually(lambda: not of_program(connection), TIMEOUT_SECONDS)


def of_program(connection: psycopg.Connection[Any]) -> list[int]:
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = %s", (APPLICATION,)
    )
    return [pid for (pid,) in rows]


def is_waiting(dsn: str) -> bool:
    """Whether a statement of the program waits for a lock."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
            " AND state = 'active' AND wait_event_type = 'Lock'",
            (APPLICATION,),
        ).fetchone()
    return row != (0,)


@contextmanager
def waiting_write(server: Server) -> Iterator[Future[httpx.Response]]:
    """Starts a creation that waits for its answer."""

    def write() -> httpx.Response:
        with server.client() as client:
            return client.post(f"/ledger/v1/{NAME}:create")

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(write)
        eventually(lambda: is_waiting(server.dsn), TIMEOUT_SECONDS)
        yield answer


def refused(answer: Future[httpx.Response]) -> str:
    """The message of the answer, which says that the process is stopping."""
    error = refusal(answer.result(TIMEOUT_SECONDS), 503, "UNAVAILABLE", "LEDGER_UNAVAILABLE")
    assert "this process is stopping" in error["message"]
    return str(error["message"])


@pytest.fixture
def ledger(dsn: str) -> Iterator[Ledger]:
    # Not one of those that are used again: a lock that a test leaves behind would be theirs.
    with new_ledger(dsn, unused=True) as name, Ledger.open(dsn, name) as opened:
        yield opened


def test_a_write_that_waits_for_a_lock_is_refused_and_known_not_to_be_recorded(
    dsn: str, ledger: Ledger
) -> None:
    named = make_conninfo(dsn, application_name=APPLICATION)
    with serving(ledger, named, "--grace", "0.5") as server:
        with locked_head(dsn, ledger), waiting_write(server) as answer:
            assert server.stop() == 0
            assert "not known" not in refused(answer)
        assert ledger.size() == 0
        ledger.create(NAME)


def test_a_write_on_a_stopped_backend_is_refused_with_an_unknown_outcome(
    dsn: str, ledger: Ledger
) -> None:
    named = make_conninfo(dsn, application_name=APPLICATION)
    with serving(ledger, named, "--grace", "0.5") as server:
        with locked_head(dsn, ledger), waiting_write(server) as answer, stopped_backends(dsn):
            assert server.stop() == 0
            assert "whether this was recorded is not known" in refused(answer)
        # It was sent: PostgreSQL carries it out, or carries the cancellation out.
        assert ledger.size() in {0, 1}
        with ledger.connection() as connection:
            assert verify(connection).findings == []


def test_a_read_on_a_stopped_backend_is_refused(dsn: str, ledger: Ledger) -> None:
    named = make_conninfo(dsn, application_name=APPLICATION)
    with (
        serving(ledger, named, "--grace", "0.5") as server,
        server.client() as client,
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(dsn) as locking,
    ):
        locking.execute(f"LOCK TABLE {schema_of(ledger.name)}.jobs".encode())
        answer = pool.submit(client.get, "/ledger/v1/jobs")
        eventually(lambda: is_waiting(dsn), TIMEOUT_SECONDS)
        with stopped_backends(dsn):
            assert server.stop() == 0
            refused(answer)


def test_a_scheduler_that_waits_for_a_lock_ends(dsn: str, ledger: Ledger) -> None:
    ledger.create(NAME)
    ledger.started(NAME, run_id="r")
    with ledger.connection() as connection:
        keep_lease(connection, NAME, "r", 15)
        connection.execute("UPDATE leases SET expire_time = heartbeat_time")
    named = make_conninfo(dsn, application_name=APPLICATION)
    command = [PROGRAM, "--dsn", named, "--ledger", ledger.name, "scheduler", "--pause", "0.1"]
    with locked_head(dsn, ledger):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            eventually(lambda: is_waiting(dsn), TIMEOUT_SECONDS)
            process.send_signal(signal.SIGTERM)
            _, message = process.communicate(timeout=TIMEOUT_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0, message
    assert "this process is stopping" in message
    assert [event.type for event in ledger.history(NAME)] == ["Created", "Started"]
