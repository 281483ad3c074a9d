"""Server processes to test against, as an operator starts them."""

from __future__ import annotations

import json
import os
import queue
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any, Final, NamedTuple

import httpx
from jobledger.infra import Ledger

from tests.forked import PROGRAM, Forked, start
from tests.ledgers import new_ledger

Process = Forked | subprocess.Popen[str]
TIMEOUT_SECONDS = 60.0
"""Seconds after which a server that says nothing counts as broken."""
_NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without it each client loads the system's certificates, which takes 20 ms, and uses none."""


class Server(NamedTuple):
    """A running `jobledger serve`, and the same ledger opened beside it."""

    url: str
    ledger: Ledger
    dsn: str
    process: Process
    logs: list[dict[str, Any]]
    """What it logged so far, a JSON object each."""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, path: str = "", **options: Any) -> httpx.Client:
        """A client of it whose paths begin with `path`."""
        return new_client(self.url + path, **options)

    def stop(self, sig: int = signal.SIGTERM) -> int:
        """Asks it to end, and waits; its exit code."""
        self.process.send_signal(sig)
        return self.process.wait(TIMEOUT_SECONDS)


def new_client(url: str, **options: Any) -> httpx.Client:
    """A client of a server without TLS."""
    return httpx.Client(base_url=url, verify=_NO_TLS, **{"timeout": 30, **options})


@contextmanager
def new_server(dsn: str, *options: str, forked: bool = True) -> Iterator[Server]:
    """A server on a port of its own, with a ledger of its own; `forked` spares it to load the program."""
    with (
        new_ledger(dsn) as name,
        Ledger.open(dsn, name) as ledger,
        serving(ledger, dsn, *options, forked=forked) as server,
    ):
        yield server


@contextmanager
def serving(
    ledger: Ledger, dsn: str, *options: str, command: str = "serve", forked: bool = True
) -> Iterator[Server]:
    """Another server of that ledger; over gRPC with the command `serve-grpc`, which is never forked."""
    words = ["--dsn", dsn, "--ledger", ledger.name, command, "--port", "0", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process: Process = (
        start(words, environment)
        if forked and command == "serve"
        else subprocess.Popen([PROGRAM, *words], stderr=subprocess.PIPE, text=True, env=environment)
    )
    logs: list[dict[str, Any]] = []
    urls: queue.Queue[str] = queue.Queue()
    reader = Thread(target=_read, args=(process, logs, urls), daemon=True)
    reader.start()
    try:
        url = urls.get(timeout=TIMEOUT_SECONDS)
        assert url, f"the server did not start: {logs}"
        if command == "serve":
            with new_client(url) as client:
                assert client.get("/readyz").status_code == 200
        yield Server(url, ledger, dsn, process, logs)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(TIMEOUT_SECONDS)
        finally:
            process.kill()
            process.wait()
            reader.join()
            assert process.stderr is not None
            process.stderr.close()


def _read(process: Process, logs: list[dict[str, Any]], urls: queue.Queue[str]) -> None:
    """Keeps its log, and finds where it listens; "" if it ends before."""
    assert process.stderr is not None
    for line in process.stderr:
        try:
            body = json.loads(line)
        except ValueError:
            body = {"message": line.rstrip()}
        logs.append(body)
        if body.get("message") == "listening":
            urls.put(body["url"])
    urls.put("")
