"""Connections with incomplete requests: they do not affect other clients."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.http.protocol import MAX_HEAD

from tests.http.test_http import refusal
from tests.http.test_http_limits import locked
from tests.http.test_http_stream import eventually
from tests.servers import Server, new_server

FILES = 300
HALVES = {
    "nothing": b"",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
    "no body": b"POST /ledger/v1/projects/p/jobs/x:started HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 10\r\n\r\n",
    "half a chunk": b"POST /v1/projects/p/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    "a session": b"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ntoken=",
}


@pytest.fixture(scope="module")
def few_files(dsn: str) -> Iterator[tuple[Server, str]]:
    """A server that may have few files, and a reader's token."""
    with new_server(dsn) as server:
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (FILES, hard))
        yield server, Tokens(server.ledger.pool).create("reader", Role.READER)


@contextmanager
def held(server: Server, sent: bytes, count: int) -> Iterator[list[socket.socket]]:
    """So many connections that sent that much."""
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
            opened.append(one)
            try:
                one.sendall(sent)
            except OSError:
                continue  # It was closed in favour of others.
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("what", HALVES)
def test_incomplete_requests_do_not_delay_others(few_files: tuple[Server, str], what: str) -> None:
    server, secret = few_files
    with held(server, HALVES[what], FILES + 100):
        worst = 0.0
        for _ in range(20):
            began = time.monotonic()
            with server.client(headers={"authorization": f"Bearer {secret}"}) as client:
                assert client.get("/ledger/v1/jobs").status_code == 200
            worst = max(worst, time.monotonic() - began)
    assert worst < 8  # An incomplete head is waited for ten seconds.


def read_all(one: socket.socket) -> bytes:
    """Reads until the connection is closed."""
    parts = []
    one.settimeout(30)
    try:
        while part := one.recv(65_536):
            parts.append(part)
    except OSError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: ", b"a"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", b"X-A: b\r\n"),
        (b"GET /", b"a"),
        (b"POST /v1/projects/p/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"e"),
        (b"POST /v1/projects/p/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n"),
    ],
    ids=["a header", "headers", "a path", "a chunk's extension", "trailers"],
)  # fmt: skip
def test_an_endless_request_is_cut_off(server: Server, begin: bytes, more: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as one:
        one.sendall(begin)
        sent = 0
        try:
            while sent < 100 * MAX_HEAD:
                sent += one.send(more * (16_384 // len(more)))
        except OSError:
            pass
        assert sent < 100 * MAX_HEAD
        assert b" 200 " not in read_all(one)


def test_a_head_that_is_too_large_is_answered_with_its_status(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as one:
        one.sendall(b"GET / HTTP/1.1\r\nX-A: " + b"a" * (MAX_HEAD + 1))
        answer = read_all(one)
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"content-security-policy: default-src 'none'" in answer


def test_a_large_head_that_is_not_too_large_is_read(server: Server) -> None:
    with server.client() as client:
        assert client.get("/healthz", headers={"x-a": "a" * 60_000}).status_code == 200


@pytest.mark.slow
def test_half_a_head_is_waited_for_ten_seconds(few_files: tuple[Server, str]) -> None:
    server, _ = few_files
    with held(server, HALVES["half a head"], 1) as (one,):
        began = time.monotonic()
        assert read_all(one) == b""
        assert 8 < time.monotonic() - began < 60


def test_a_missing_token_is_refused_before_the_body_arrives(few_files: tuple[Server, str]) -> None:
    server, _ = few_files
    with held(server, HALVES["no body"], 1) as (one,):
        began = time.monotonic()
        assert one.recv(100).startswith(b"HTTP/1.1 401 ")
        assert time.monotonic() - began < 8  # Nor was an incomplete request waited for.


def waiting(server: Server) -> int:
    with server.ledger.connection() as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_locks"
            " WHERE NOT granted AND relation IN ('events'::regclass, 'jobs'::regclass)"
        ).fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.slow
def test_the_read_of_a_disconnected_caller_is_cancelled(dsn: str) -> None:
    with new_server(dsn) as server, locked(server):
        with socket.create_connection(("127.0.0.1", server.port), 10) as one:
            one.sendall(b"GET /ledger/v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n")
            eventually(lambda: waiting(server) > 0)
        eventually(lambda: waiting(server) == 0)


@pytest.mark.slow
def test_one_caller_cannot_use_all_places(dsn: str) -> None:
    with new_server(dsn, "--max-waiting", "8", "--deadline", "3") as server:
        tokens = Tokens(server.ledger.pool)
        mine, yours = (tokens.create(name, Role.READER) for name in ("mine", "yours"))
        request = f"GET /ledger/v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {mine}\r\n\r\n"
        with locked(server), held(server, request.encode(), 8):
            with server.client(headers={"authorization": f"Bearer {mine}"}) as client:
                eventually(lambda: client.get("/v1/nothing").status_code == 503)
                error = refusal(client.get("/ledger/v1/jobs"), 503, "UNAVAILABLE", "OVERLOADED")
                assert "all by this caller" in error["message"]
            authorization = {"authorization": f"Bearer {yours}"}
            answer = httpx.get(f"{server.url}/v1/nothing", headers=authorization, timeout=60)
            assert answer.status_code == 404


@pytest.mark.parametrize("about", ["Content-Type: text/plain", "Content-Encoding: br"])
def test_a_missing_token_is_refused_whenever_the_body_arrives(
    few_files: tuple[Server, str], about: str
) -> None:
    server, _ = few_files
    head = (
        "POST /v1/projects/p/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"{about}\r\nContent-Length: 2\r\n\r\n"
    )
    for pieces in ([head + "{}"], [head, "{}"]):
        with socket.create_connection(("127.0.0.1", server.port), 10) as one:
            for piece in pieces:
                one.sendall(piece.encode())
                time.sleep(0.1)
            assert one.recv(12) == b"HTTP/1.1 401"
