"""`jobledger run --server URL`: a worker without the database's password reports, also what was spooled."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.cli.jobs.remote_store import RemoteStore
from jobledger.infra.programs.leases import expire_lost

from tests.command_line import Cli, Done
from tests.servers import Server, new_server

NOWHERE = "http://127.0.0.1:9"


class Worker:
    """`jobledger` in child processes that know a server's address, and no database."""

    def __init__(self, server: Server, project: str, spool: Path, token: str = "") -> None:
        self._cli = Cli("host=127.0.0.1 port=1", "none", JOBLEDGER_PROJECT=project)
        self._cli.environment = {
            key: value for key, value in self._cli.environment.items() if key != "JOBLEDGER_DSN"
        } | {"JOBLEDGER_SPOOL": str(spool), "JOBLEDGER_TOKEN": token}
        self._server = server

    def __call__(self, *words: str, server: str = "") -> Done:
        return self._cli.child("--server", server or self._server.url, *words)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return self._cli.start("--server", self._server.url, *words)


@pytest.mark.slow
def test_a_run_is_reported_through_a_server(server: Server, project: str, tmp_path: Path) -> None:
    worker, name = Worker(server, project, tmp_path), f"projects/{project}/jobs/a"
    code = "import os, sys; print('JOBLEDGER_TOKEN' in os.environ); sys.exit(3)"
    done = worker("run", "--name", "a", "--label", "team=x", "--", sys.executable, "-c", code)
    assert (done.returncode, done.stdout) == (3, "False\n")
    worker("spool", "send")  # On a busy machine, its end may not be recorded yet.
    events = server.ledger.history(name)
    assert [event.type for event in events] == ["Created", "Started", "Failed"]
    assert server.ledger.get(name).labels == {"team": "x"}
    assert worker("run", "--name", "a", "--", "true").returncode == 0
    worker("spool", "send")
    assert server.ledger.get(name).attempt == 2
    assert server.ledger.history(name)[3].type == "Retried"
    assert worker("run", "--once", "--name", "a", "--", "true").returncode == 4
    assert list(tmp_path.glob("*.run*")) == []


def test_what_is_no_run_id_does_not_keep_a_run_from_the_server(
    server: Server, project: str
) -> None:
    name = f"projects/{project}/jobs/odd"
    server.ledger.create(name)
    server.ledger.started(name, run_id="a")
    server.ledger.progress_reported(name, data={"runId": {"uid": "b"}})
    with closing(RemoteStore(server.url, None)) as store:
        assert store.get(name).run_ids == ("a",)


@pytest.mark.slow
def test_reports_that_the_server_did_not_accept_are_spooled_and_sent_later(
    server: Server, project: str, tmp_path: Path
) -> None:
    worker, name = Worker(server, project, tmp_path), f"projects/{project}/jobs/a"
    done = worker("run", "--name", "a", "--", "true", server=NOWHERE)
    assert done.returncode == 0
    assert "it is spooled" in done.stderr
    assert worker("spool", "send").stdout == "0 runs recorded\n"  # It was for another server.
    assert worker("spool", "send", "--anywhere").stdout == "1 run recorded\n"
    assert [event.type for event in server.ledger.history(name)] == [
        "Created",
        "Started",
        "Succeeded",
    ]
    done = worker("run", "--name", "b", "--", "true", server=NOWHERE)
    assert worker("spool", "send", "--anywhere").returncode == 0
    assert server.ledger.get(f"projects/{project}/jobs/b").attempt == 1


@pytest.mark.slow
def test_a_run_that_is_killed_is_lost_by_its_heartbeats(dsn: str, tmp_path: Path) -> None:
    with new_server(dsn) as server:
        secret = Tokens(server.ledger.pool).create("worker", Role.OPERATOR, "p")
        worker, name = Worker(server, "p", tmp_path, secret), "projects/p/jobs/a"
        words = ("run", "--name", "a", "--heartbeat", "0.2", "--", "sleep", "30")
        with worker.start(*words) as process, server.ledger.connection() as connection:

            def lease() -> object:
                return connection.execute(
                    "SELECT job FROM leases WHERE job = %s", (name,)
                ).fetchone()

            deadline = time.monotonic() + 60
            while lease() is None or not server.ledger.list(f'name = "{name}" AND state = RUNNING'):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert lease() == (name,)
            process.kill()
            state = server.ledger.get(name).state
            while state is None or state.name != "EXPIRED":  # The server, or this call, expires it.
                assert time.monotonic() < deadline
                expire_lost(server.ledger, "test")
                state = server.ledger.get(name).state
                time.sleep(0.1)
        assert server.ledger.history(name)[0].actor == "worker"
