"""What the HTTP server is measured by: one server process, loaded from another one."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

import orjson
from jobledger.domain.events import Event, Preparing, Retried, Started, Succeeded
from jobledger.infra.bench.arena import Arena, Pair
from jobledger.infra.bench.http_load import INPUT, LABELS, REPORTS, VERBS
from jobledger.infra.ledger import Ledger

CONNECTIONS: Final = 16
WRITERS: Final = 64
JOB: Final = "projects/bench/jobs/j1"
PATH: Final = f"/v1/{JOB}"
HOST: Final = "127.0.0.1"
TIMEOUT_SECONDS: Final = 30.0
"""Seconds for a server to start."""
MODULE: Final = "jobledger.infra.bench"


class Taken(NamedTuple):
    """What a load measured: answers a second, and seconds for an answer."""

    per_second: float
    half: float
    most: float
    """99 of 100 took no longer."""


def get(arena: Arena) -> Pair:
    """GET of one ml v1 job, beside a fastapi endpoint that returns a constant of the same size."""
    return _beside_peer(arena, PATH, CONNECTIONS)


def create(arena: Arena) -> Pair:
    """POST of ml v1 jobs over 64 connections, beside the same endpoint taking the same body."""
    return _beside_peer(arena, "create", WRITERS)


def batch(arena: Arena) -> Pair:
    """Reports by the hundred, beside the same events through `append_many`, a hundred a call."""
    with _served(arena) as (port, ledger):
        for number in range(REPORTS // len(VERBS)):
            ledger.create(f"projects/bench/jobs/r{number}")
        ours = _load(arena, port, "report", 1).per_second * REPORTS
        return ours, _append_hundreds(ledger, arena.seconds)


def latency(arena: Arena) -> Pair:
    """Milliseconds of 99 of 100 gets while 64 writers create jobs, beside those of half when nobody does."""
    with _served(arena) as (port, _):
        idle = _load(arena, port, PATH, 1)
        writing = _start(port, "create", WRITERS, arena.seconds + 2)
        time.sleep(1)
        busy = _load(arena, port, PATH, 1)
        _taken(writing, arena.seconds + 2)
        return busy.most * 1e3, idle.half * 1e3


def _beside_peer(arena: Arena, what: str, connections: int) -> Pair:
    with _served(arena) as (port, _), _peer(port) as peer:
        ours, theirs = (_load(arena, at, what, connections) for at in (port, peer))
        return ours.per_second, theirs.per_second


def _append_hundreds(ledger: Ledger, seconds: float) -> float:
    names = [f"projects/bench/jobs/a{number}" for number in range(REPORTS // len(VERBS))]
    at = ledger.create(names[0]).update_time
    assert at is not None
    for name in names[1:]:
        ledger.create(name)
    facts = (Preparing(), Started(), Succeeded(), Retried())
    version, written, began = 1, 0, time.monotonic()
    while time.monotonic() < began + seconds:
        written += ledger.append_many(
            Event(name, version + place, fact, at)
            for name in names
            for place, fact in enumerate(facts, start=1)
        )
        version += len(facts)
    return written / (time.monotonic() - began)


@contextmanager
def _served(arena: Arena) -> Iterator[tuple[int, Ledger]]:
    """The port of a server, with a job that runs; and its ledger."""
    with arena.ledger() as name, arena.open(name) as ledger:
        ledger.create(JOB.replace("j1", "j0"))
        ledger.create(JOB, LABELS, {"trainingInput": INPUT})
        ledger.started(JOB)
        with served(arena, name) as port:
            yield port, ledger


@contextmanager
def served(arena: Arena, ledger: str) -> Iterator[int]:
    """The port of a server of that ledger."""
    port = free_port()
    options = ["--dsn", arena.dsn, "--ledger", ledger, "serve", "--port", str(port)]
    program = "from jobledger.infra.cli import main; main()"
    with running([sys.executable, "-c", program, *options], port):
        yield port


@contextmanager
def _peer(port: int) -> Iterator[int]:
    """The port of an endpoint that returns what the server answers now, always."""
    import httpx

    constant: Any = httpx.get(f"http://{HOST}:{port}{PATH}").json()
    peer = free_port()
    text = orjson.dumps(constant).decode()
    with running([sys.executable, "-m", f"{MODULE}.http_peer", str(peer), text], peer):
        yield peer


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """A process, once it listens there."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection((HOST, port)):
                break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server((HOST, 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _load(arena: Arena, port: int, what: str, connections: int) -> Taken:
    return _taken(_start(port, what, connections, arena.seconds), arena.seconds)


def _start(port: int, what: str, connections: int, seconds: float) -> subprocess.Popen[bytes]:
    arguments = [HOST, str(port), what, str(connections), str(seconds)]
    return subprocess.Popen(
        [sys.executable, "-m", f"{MODULE}.http_load", *arguments], stdout=subprocess.PIPE
    )


def _taken(process: subprocess.Popen[bytes], seconds: float) -> Taken:
    value, _ = process.communicate()
    answers, half, most = orjson.loads(value)
    return Taken(answers / seconds, half, most)
