"""Servers in separate processes: the ledger's, and its peers."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

import orjson
from jobledger.infra.bench.arena import Arena
from jobledger.infra.bench.loads import PEERS
from jobledger.infra.bench.meter import Reading
from jobledger.infra.errors import LedgerUnavailableError

HOST: Final = "127.0.0.1"
TIMEOUT_SECONDS: Final = 30.0
"""Seconds for a server to start."""
PROGRAM: Final = "from jobledger.infra.cli import main; main()"


class Serving(NamedTuple):
    """A server that listens."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Its address, without a slash at its end."""
        return f"http://{HOST}:{self.port}"


class Taken(NamedTuple):
    """The result of a load."""

    answers: int
    half: float
    """Seconds that half of the answers took at most."""
    most: float
    """Seconds that 99 of 100 took at most."""


@contextmanager
def served(arena: Arena, ledger: str) -> Iterator[Serving]:
    """A server of that ledger."""
    port = free_port()
    options = ["--dsn", arena.dsn, "--ledger", ledger, "serve", "--port", str(port)]
    with running([sys.executable, "-c", PROGRAM, *options], port) as process:
        yield Serving(port, process.pid)


@contextmanager
def peer(program: str, given: str) -> Iterator[Serving]:
    """A server of peers/, which is given its port and a text."""
    port = free_port()
    command = [sys.executable, "-m", f"{PEERS}.{program}", str(port), given]
    with running(command, port) as process:
        yield Serving(port, process.pid)


@contextmanager
def running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a process, and waits until it listens."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection((HOST, port)):
            return
        time.sleep(0.05)
    raise LedgerUnavailableError(f"{' '.join(process.args[:3])} did not listen on port {port}")  # type: ignore[index,arg-type]


def free_port() -> int:
    """Returns a port without a listener."""
    with socket.create_server((HOST, 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def load_on(
    arena: Arena, server: Serving, what: str, connections: int, per_answer: int = 1
) -> Reading:
    """Measures answers per second times `per_answer`, and the server's CPU."""
    with arena.meter(server.pid) as meter:
        taken = finished(start_load(server, what, connections, arena.seconds))
    done = taken.answers * per_answer
    return meter.reading(done / arena.seconds, done)


def start_load(
    server: Serving, what: str, connections: int, seconds: float
) -> subprocess.Popen[bytes]:
    """Begins a load of peers/http_load.py."""
    arguments = [HOST, str(server.port), what, str(connections), str(seconds)]
    return subprocess.Popen(
        [sys.executable, "-m", f"{PEERS}.http_load", *arguments], stdout=subprocess.PIPE
    )


def finished(process: subprocess.Popen[bytes]) -> Taken:
    """Waits for a load, and returns its result."""
    value, _ = process.communicate()
    if process.returncode:
        raise LedgerUnavailableError("the server did not answer the load with status 200")
    return Taken(*orjson.loads(value))
