"""Forwarding of OpenLineage events to a real HTTP server that is away, busy, or refuses."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.sources.openlineage import forwarder as forwarding
from jobledger.infra.sources.openlineage.forwarder import Forwarded, Forwarder


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent; answers with the next of `answers`, and else 201."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.got: list[tuple[bytes, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://user:pass@127.0.0.1:{self.server_port}/api/v1/lineage?secret=1"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.answers.pop(0) if self.server.answers else 201
        if status < 300:
            self.server.got.append((body, self.headers["Authorization"]))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def wait_for(forwarder: Forwarder, **counts: int) -> Forwarded:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = forwarder.counts()
        if all(getattr(found, key) >= value for key, value in counts.items()) and not found.waiting:
            return found
        time.sleep(0.01)
    raise AssertionError(forwarder.counts())


def address(receiver: Receiver) -> str:
    return f"http://127.0.0.1:{receiver.server_port}/api/v1/lineage"


def test_events_come_unchanged_and_in_order(receiver: Receiver) -> None:
    forwarder = Forwarder(address(receiver), "secret-key")
    events = [json.dumps({"n": n, "ü": 1.0}, indent=n % 3).encode() for n in range(20)]
    for event in events:
        forwarder.put(event)
    assert wait_for(forwarder, sent=20) == Forwarded(20, 0, 0, 0, 0)
    assert receiver.got == [(event, "Bearer secret-key") for event in events]
    forwarder.close()


@pytest.mark.slow
@pytest.mark.parametrize("answers", [[503, 429, 500, 408], [302, 302]])
def test_temporary_failures_are_retried(receiver: Receiver, answers: list[int]) -> None:
    receiver.answers = list(answers)
    forwarder = Forwarder(address(receiver), pause=0.01)
    forwarder.put(b"{}")
    forwarder.put(b"[]")
    assert wait_for(forwarder, sent=2).retries == len(answers)
    assert [body for body, _ in receiver.got] == [b"{}", b"[]"]
    forwarder.close()


def test_a_refused_event_does_not_stop_the_others(receiver: Receiver) -> None:
    receiver.answers = [422, 401]
    forwarder = Forwarder(address(receiver), pause=0.01)
    for event in (b"1", b"2", b"3"):
        forwarder.put(event)
    assert wait_for(forwarder, sent=1, refused=2).retries == 0
    assert [body for body, _ in receiver.got] == [b"3"]
    forwarder.close()


def test_an_unreachable_server_delays_no_caller(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(forwarding, "MAX_EVENTS", 5)
    monkeypatch.setattr(forwarding, "CLOSE_TIMEOUT_SECONDS", 0.2)
    with caplog.at_level(logging.WARNING, "jobledger.lineage"):
        forwarder = Forwarder("http://me:pass@127.0.0.1:9/x?token=t", "secret-key", pause=0.01)
        for number in range(20):
            forwarder.put(b"%d" % number)
        assert forwarder.counts().dropped == 15
        time.sleep(0.1)
        forwarder.close()
    assert forwarder.counts().retries > 0
    assert "5 events were not forwarded to http://127.0.0.1/x" in caplog.text
    assert not any(secret in caplog.text for secret in ("secret-key", "pass", "token=t"))


def test_waiting_events_survive_the_process(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "CLOSE_TIMEOUT_SECONDS", 0.05)
    receiver.answers = [503] * 10_000
    first = Forwarder(address(receiver), folder=tmp_path, pause=0.01)
    second = Forwarder(address(receiver), folder=tmp_path, pause=0.01)
    other = Forwarder("http://127.0.0.1:9/x", folder=tmp_path, pause=0.01)
    for number in range(3):
        first.put(b"%d" % number)
        second.put(b"%d" % (number + 3))
        other.put(b"x")
    first.close()
    # A process that is killed closes nothing: the system unlocks its files.
    with second._changed:
        second._closed = True
        second._queue.close()
    for stopped in (first, second):  # What is on its way is refused as well.
        assert stopped._thread is not None
        stopped._thread.join()
    other.close()
    receiver.answers = []
    again = Forwarder(address(receiver), folder=tmp_path, pause=0.01)
    assert wait_for(again, sent=6) == Forwarded(6, 0, 0, 0, 0)
    assert [body for body, _ in receiver.got] == [b"%d" % number for number in range(6)]
    again.put(b"6")
    assert wait_for(again, sent=7).sent == 7
    again.close()
    last = Forwarder(address(receiver), folder=tmp_path, pause=0.01)
    assert last.counts() == Forwarded(0, 0, 0, 0, 0)
    last.close()


def test_an_unwritable_folder_loses_only_persistence(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    forwarder = Forwarder(address(receiver), folder=tmp_path / "file", pause=0.01)
    forwarder.put(b"{}")
    assert wait_for(forwarder, sent=1).sent == 1
    forwarder.close()
    assert "wait in memory" in caplog.text


@pytest.mark.parametrize("url", ["file:///etc/passwd", "marquez", "http://", "ftp://x/y"])
def test_only_http_addresses(url: Any) -> None:
    with pytest.raises(InvalidFieldError, match="is not an http or https address"):
        Forwarder(url)
