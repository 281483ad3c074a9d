"""Load on an HTTP server from a separate process: each connection sends a request as soon as the last one is answered.

`python -m jobledger.infra.bench.peers.http_load HOST PORT WHAT CONNECTIONS SECONDS` prints how many answers
came, and after how many seconds half and 99 of 100 did. WHAT is a path to get, or `create`, `report`
or `lineage`.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, cast
from uuid import UUID

import uvloop

LABELS: Final = {"env": "prod", "team": "search"}
INPUT: Final = {
    "scaleTier": "BASIC",
    "region": "us-central1",
    "packageUris": ["gs://bucket/trainer-1.0.tar.gz"],
    "pythonModule": "trainer.task",
    "args": ["--epochs", "12"],
}
REPORTS: Final = 100
"""Reports of one batch: each job is prepared, started, succeeds and is retried."""
VERBS: Final = ("preparing", "started", "succeeded", "retried")


class Asking(asyncio.Protocol):
    """One connection."""

    def __init__(self, requests: Iterator[bytes], until: float, seconds: list[float]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._until = until
        self._seconds = seconds
        self._received = b""
        self._needed = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the first request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no such class.
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Reads an answer, notes its time, and sends the next request until the end."""
        self._received += data
        if self._needed < 0 and (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            assert head.startswith(b"http/1.1 200"), self._received
            self._needed = end + 4 + int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        if 0 <= self._needed <= len(self._received):
            now = time.perf_counter()
            self._seconds.append(now - self._began)
            self._received, self._needed = b"", -1
            if now > self._until:
                self._transport.close()
            else:
                self._ask()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """Ends the measurement of the connection."""
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        request = next(self._requests)
        self._began = time.perf_counter()
        self._transport.write(request)


def gets(path: str) -> Iterator[bytes]:
    """The same request, endlessly."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n".encode()
    while True:
        yield request


def creates() -> Iterator[bytes]:
    """Jobs of AI Platform, each of another id."""
    for number in count():
        job = {"jobId": f"c{os.getpid()}_{number}", "labels": LABELS, "trainingInput": INPUT}
        yield post("/v1/projects/bench/jobs", json.dumps(job).encode())


def batches() -> Iterator[bytes]:
    """Reports by the hundred, on jobs `r0` to `r24` that wait."""
    reports = [
        {"name": f"projects/bench/jobs/r{number}", "report": verb}
        for number in range(REPORTS // len(VERBS))
        for verb in VERBS
    ]
    request = post("/ledger/v1/reports:batch", json.dumps({"reports": reports}).encode())
    while True:
        yield request


def lineage() -> Iterator[bytes]:
    """Runs as OpenLineage's clients send them: each begins, and is complete."""
    for number in count():
        run = str(UUID(int=os.getpid() << 64 | number))
        for kind in ("START", "COMPLETE"):
            yield post("/api/v1/lineage", json.dumps(run_event(run, number, kind)).encode())


def run_event(run: str, number: int, kind: str) -> dict[str, Any]:
    """A RunEvent of spec 2-0-2 with an input and an output."""
    return {
        "eventType": kind,
        "eventTime": datetime.now(UTC).isoformat(),
        "producer": "https://example.com/bench",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": run, "facets": {}},
        "job": {"namespace": "bench", "name": f"load_{number}", "facets": {}},
        "inputs": [{"namespace": "warehouse", "name": "public.orders"}],
        "outputs": [{"namespace": "warehouse", "name": "public.daily_orders"}],
    }


def post(path: str, body: bytes) -> bytes:
    """Returns the bytes of a POST of JSON."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def load(host: str, port: int, what: str, connections: int, seconds: float) -> list[float]:
    """Seconds that each answer took."""
    makers: dict[str, Callable[[], Iterator[bytes]]] = {
        "create": creates, "report": batches, "lineage": lineage,
    }  # fmt: skip
    requests = makers[what]() if what in makers else gets(what)
    taken: list[float] = []
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    asking = [
        (await loop.create_connection(lambda: Asking(requests, until, taken), host, port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(each.done for each in asking))
    return taken


def main() -> None:
    """Puts load on a server; prints the number of answers, and the median and 99th percentile of their seconds."""
    host, port, what, connections, seconds = sys.argv[1:]
    loading = load(host, int(port), what, int(connections), float(seconds))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        taken = sorted(runner.run(loading))
    print(json.dumps([len(taken), taken[len(taken) // 2], taken[len(taken) * 99 // 100]]))


if __name__ == "__main__":
    main()
