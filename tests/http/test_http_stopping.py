"""A server that is stopped, killed, or left alone by PostgreSQL: what it answered is in the ledger."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import psycopg
import pytest
from jobledger.infra import Ledger
from jobledger.infra.upkeep.verify import verify
from psycopg.conninfo import make_conninfo

from tests.eventstore.test_crashes import kill, own_server, start_again
from tests.http.test_http import refusal
from tests.http.test_http_stream import eventually
from tests.ledgers import new_ledger
from tests.servers import TIMEOUT_SECONDS, Server, new_server, serving

pytestmark = pytest.mark.slow

WRITERS = 32
__all__ = ["own_server"]


class Writing:
    """Callers that make jobs as fast as they can, and remember the acknowledged ones."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.made: list[str] = []
        self.refused: list[httpx.Response] = []
        self.cut_off = 0
        self.over = Event()

    def write(self, number: int) -> None:
        """Until the server answers no more."""
        n = 0
        with self.server.client() as client:
            while not self.over.is_set():
                n += 1
                name = f"projects/p{number % 4}/jobs/j{number}-{n}"
                try:
                    # Two events, which are there both or neither.
                    answer = client.post(f"/ledger/v1/{name}:create", json={"preparing": True})
                except httpx.TransportError:
                    self.cut_off += 1
                    return
                if answer.status_code == 200:
                    self.made.append(name)
                else:
                    self.refused.append(answer)


@contextmanager
def writing(server: Server) -> Iterator[Writing]:
    """32 of them, well under way; afterwards they are over."""
    written = Writing(server)
    with ThreadPoolExecutor(WRITERS) as pool:
        callers: list[Future[None]] = [pool.submit(written.write, n) for n in range(WRITERS)]
        try:
            eventually(lambda: len(written.made) > 200)
            yield written
        finally:
            written.over.set()
        for caller in callers:
            caller.result(TIMEOUT_SECONDS)


def check_ledger(written: Writing) -> None:
    """Checks that every acknowledged job is stored, once and whole."""
    ledger = written.server.ledger
    jobs = {job.name: job for job in ledger.list()}
    assert len(written.made) == len(set(written.made))
    assert jobs.keys() >= set(written.made)
    assert {(job.state and job.state.name, job.version) for job in jobs.values()} == {
        ("PENDING", 2)
    }
    assert ledger.size() == 2 * len(jobs)
    # Whoever was cut off knows nothing of one job each.
    assert len(jobs) - len(written.made) <= written.cut_off
    with ledger.connection() as connection:
        assert verify(connection).findings == []


def backends_of(ledger: Ledger, application: str) -> list[Any]:
    """PostgreSQL's processes that serve that program."""
    with ledger.connection() as connection:
        return connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s", (application,)
        ).fetchall()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_stopping_server_answers_accepted_requests_and_refuses_others(
    dsn: str, sig: signal.Signals
) -> None:
    with new_server(dsn, "--deadline", "20") as server:
        with writing(server) as written:
            assert server.stop(sig) == 0
        check_ledger(written)
        for answer in written.refused:
            error = refusal(answer, 503, "UNAVAILABLE", "OVERLOADED")
            assert "the server is stopping" in error["message"]
        with server.client() as client, pytest.raises(httpx.ConnectError):
            client.get("/healthz")
        bad = [record for record in server.logs if record.get("level") not in {"INFO", "WARNING"}]
        assert bad == []


def test_after_kill_9_everything_that_was_answered_is_there(dsn: str) -> None:
    named = make_conninfo(dsn, application_name="killed")
    with (
        new_ledger(dsn, unused=True) as name,
        Ledger.open(dsn, name) as ledger,
        serving(ledger, named) as server,
    ):
        with writing(server) as written:
            assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        assert written.refused == []
        # PostgreSQL carries out what it was sent before it misses who sent it.
        eventually(lambda: not backends_of(ledger, "killed"))
        check_ledger(written)


def test_a_server_without_requests_stops_at_once(dsn: str) -> None:
    with new_server(dsn, "--deadline", "600") as server, server.client() as client:
        assert client.get("/readyz").status_code == 200  # A connection that stays open.
        assert server.stop() == 0


def test_a_stalled_follower_does_not_delay_the_stop(
    dsn: str,
) -> None:
    with new_server(dsn, "--deadline", "2") as server:
        server.ledger.create("projects/p/jobs/a")
        for _ in range(60):  # More than all buffers between the two take.
            server.ledger.progress_reported("projects/p/jobs/a", data={"x": "y" * 200_000})
        with socket.create_connection(("127.0.0.1", server.port)) as follower:
            follower.sendall(b"GET /ledger/v1/events:stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert follower.recv(12) == b"HTTP/1.1 200"
            assert server.stop() == 0


def backends(connection: psycopg.Connection[Any]) -> set[int]:
    """Returns PostgreSQL's backends, without the caller's own."""
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND datname = current_database()"
        " AND pid <> pg_backend_pid()"
    )
    return {pid for (pid,) in rows}


def test_connections_that_break_are_made_again_and_what_is_asked_again_is_written_once(
    dsn: str,
) -> None:
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        new_ledger(dsn) as name,
        Ledger.open(dsn, name) as ledger,
    ):
        others = backends(connection)
        with serving(ledger, dsn) as server, ThreadPoolExecutor(8) as pool:

            def write(number: int) -> None:
                with server.client() as client:
                    for verb in ("create", "started", "succeeded"):
                        url = f"/ledger/v1/projects/p/jobs/j{number}:{verb}"
                        eventually(partial(done, client, url))

            def done(client: httpx.Client, url: str) -> bool:
                answer = client.post(url, json={"requestId": url})
                assert answer.status_code in {200, 503}, answer.text
                read = client.get(url.rpartition(":")[0])
                assert read.status_code in {200, 404, 503}, read.text
                return answer.status_code == 200

            writing = [pool.submit(write, number) for number in range(150)]
            while not all(caller.done() for caller in writing):
                for pid in backends(connection) - others:
                    connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
                time.sleep(0.2)
            for caller in writing:
                caller.result()
        jobs = ledger.list()
        assert [(job.state and job.state.name, job.version) for job in jobs] == [
            ("SUCCEEDED", 3)
        ] * 150
        with ledger.connection() as checking:
            assert verify(checking).findings == []


@pytest.mark.slow
def test_it_is_not_ready_while_postgresql_is_away_and_is_when_it_is_back(
    own_server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn, home = own_server
    monkeypatch.setenv("JOBLEDGER_HOME", str(home))
    with new_server(dsn, "--deadline", "5") as server, server.client() as client:
        client.post("/ledger/v1/projects/p/jobs/before:create").raise_for_status()
        kill(home)
        eventually(lambda: client.get("/readyz").status_code == 503)
        assert client.get("/healthz").status_code == 200
        for answer in (
            client.get("/ledger/v1/projects/p/jobs/before"),
            client.get("/v1/projects/p/jobs"),
            client.post("/ledger/v1/projects/p/jobs/lost:create"),
            client.post("/v1/projects/p/jobs", json={"jobId": "lost"}),
        ):
            assert answer.status_code in {503, 504}, answer.text
            refusal(answer, answer.status_code, answer.json()["error"]["status"])
            assert ("retry-after" in answer.headers) is (answer.status_code == 503)

        start_again(home)
        eventually(lambda: client.get("/readyz").status_code == 200)
        for path in ("/ledger/v1/projects/p/jobs/before", "/v1/projects/p/jobs"):
            # The pool tries again ever more seldom, the longer it was away.
            eventually(lambda path=path: client.get(path).status_code == 200, TIMEOUT_SECONDS)  # type: ignore[misc]
        client.post("/ledger/v1/projects/p/jobs/after:create").raise_for_status()
        assert server.stop() == 0
