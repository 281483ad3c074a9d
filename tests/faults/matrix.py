"""The faults of a server and its clients under load, by name."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psycopg
from jobledger.infra.postgres.connections import schema_of

from tests.clusters import Cluster
from tests.command_line import PROGRAM

PROCESSES: Final = 2
THREADS: Final = 4
TIMEOUT_SECONDS: Final = 600.0
"""A rebuild of what a soak has written takes minutes on a busy machine."""


class Load:
    """Processes of clients of one ledger."""

    def __init__(self, cluster: Cluster, ledger: str, folder: Path) -> None:
        self.cluster = cluster
        self.ledger = ledger
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        for _ in range(PROCESSES):
            self.add()

    def add(self) -> None:
        """Starts one more."""
        number = len(list(self.folder.glob("*.jsonl")))
        log = self.folder / f"p{number}.jsonl"
        log.touch()
        arguments = [self.cluster.dsn, self.ledger, str(log), str(THREADS)]
        with (self.folder / "stderr").open("ab") as noise:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.client", *arguments],
                stdin=subprocess.PIPE,
                stderr=noise,
            )
        self.processes.append(process)

    def acknowledged(self) -> int:
        return sum(
            file.read_bytes().count(b'"kind":"done"') for file in self.folder.glob("*.jsonl")
        )

    def wait_for_more(self, count: int = 20) -> None:
        """Waits until more is acknowledged: that the ledger is written to again."""
        wanted, deadline = self.acknowledged() + count, time.monotonic() + TIMEOUT_SECONDS
        while self.acknowledged() < wanted:
            assert time.monotonic() < deadline, "the ledger is not written to any more"
            time.sleep(0.1)

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a command on the ledger."""
        return subprocess.Popen(
            [PROGRAM, "--dsn", self.cluster.dsn, "--ledger", self.ledger, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def end(self) -> None:
        """Stops all clients after their current requests."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self.processes:
            process.wait(TIMEOUT_SECONDS)

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


def kill_postmaster(load: Load) -> None:
    """kill -9 of the postmaster; started again a moment later."""
    load.cluster.kill_postmaster()
    time.sleep(0.5)
    load.cluster.start()


def kill_server(load: Load) -> None:
    """kill -9 of the whole server at once."""
    load.cluster.kill()
    load.cluster.start()


def kill_backend(load: Load) -> None:
    """kill -9 of a backend, after which the server starts all of them anew."""
    load.cluster.backends()[-1].kill()


def terminate_backends(load: Load) -> None:
    """All connections are ended by the server, five times."""
    for _ in range(5):
        load.cluster.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        time.sleep(0.2)


def stop_backends(load: Load) -> None:
    """Backends are stopped for two seconds: connections that neither answer nor end."""
    stopped = load.cluster.backends()
    for process in stopped:
        process.suspend()
    time.sleep(2)
    for process in stopped:
        process.resume()


def kill_writer(load: Load) -> None:
    """kill -9 of a process that writes; another one takes its place."""
    load.processes.pop(0).kill()
    load.add()


def lock_head(load: Load) -> None:
    """Somebody else's transaction holds the head for three seconds."""
    with psycopg.connect(load.cluster.dsn) as connection:
        connection.execute(f"UPDATE {schema_of(load.ledger)}.head SET size = size".encode())
        time.sleep(3)
        connection.rollback()


def lock_events(load: Load) -> None:
    """Somebody locks the events for two seconds."""
    with psycopg.connect(load.cluster.dsn) as connection:
        connection.execute(f"LOCK TABLE {schema_of(load.ledger)}.events".encode())
        time.sleep(2)
        connection.rollback()


def rebuild_at_once(load: Load) -> None:
    """Three rebuilds of each projection at once: one works, the others say who holds the lock."""
    for projection in ("jobs", "intervals"):
        commands = [load.command("rebuild", projection) for _ in range(3)]
        message = [
            (command.communicate(timeout=TIMEOUT_SECONDS)[0], command) for command in commands
        ]
        codes = sorted(command.returncode for _, command in message)
        assert codes[0] == 0, message
        assert all(
            "being rebuilt already" in text for text, command in message if command.returncode
        )


def rebuild_behind_reader(load: Load) -> None:
    """A rebuild while somebody reads `jobs` in a long transaction: writers go on meanwhile."""
    with psycopg.connect(load.cluster.dsn) as connection:
        connection.execute(f"SELECT count(*) FROM {schema_of(load.ledger)}.jobs".encode())
        command = load.command("rebuild", "jobs")
        load.wait_for_more(50)
        time.sleep(2)
        load.wait_for_more(50)
    expected, _ = command.communicate(timeout=TIMEOUT_SECONDS)
    assert command.returncode == 0, expected


def init_at_once(load: Load) -> None:
    """Four processes bring the ledger up to date at once."""
    commands = [load.command("init") for _ in range(4)]
    for command in commands:
        expected, _ = command.communicate(timeout=TIMEOUT_SECONDS)
        assert command.returncode == 0, expected


def use_up_connections(load: Load) -> None:
    """Nobody gets a connection for two seconds, and those there were are ended."""
    with ExitStack() as held:
        terminate_backends(load)
        for _ in range(200):
            try:
                held.enter_context(psycopg.connect(load.cluster.dsn))
            except psycopg.OperationalError:
                break
        time.sleep(2)


def leave_snapshot_open(load: Load) -> None:
    """Somebody's snapshot stays open for three seconds, so that no dead row can be removed."""
    with psycopg.connect(load.cluster.dsn) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute(f"SELECT count(*) FROM {schema_of(load.ledger)}.head".encode())
        time.sleep(3)


def set_role_timeouts(load: Load) -> None:
    """A new writer connects while the role has short timeouts and no durability."""
    settings = {"statement_timeout": "200ms", "lock_timeout": "50ms", "synchronous_commit": "off"}
    for name, value in settings.items():
        load.cluster.execute(f"ALTER ROLE postgres SET {name} = '{value}'")
    terminate_backends(load)
    time.sleep(2)
    kill_server(load)
    load.cluster.execute("ALTER ROLE postgres RESET ALL")
    terminate_backends(load)


Fault = Callable[[Load], None]
FAULTS: Final[tuple[Fault, ...]] = (
    kill_postmaster,
    kill_server,
    kill_backend,
    terminate_backends,
    stop_backends,
    kill_writer,
    lock_head,
    lock_events,
    rebuild_at_once,
    rebuild_behind_reader,
    init_at_once,
    use_up_connections,
    leave_snapshot_open,
    set_role_timeouts,
)
BY_NAME: Final = {fault.__name__: fault for fault in FAULTS}
