"""Limits of a server, its refusals, and its log of both."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import httpx
import pytest
from jobledger.infra.access.tokens import Role, Tokens
from psycopg.errors import DeadlockDetected

from tests.http.test_http import refusal
from tests.http.test_http_stream import eventually
from tests.servers import Server, new_server

MAX_BODY = 2_048
MAX_WAITING = 4
CREATES = ["/ledger/v1/projects/{0}/jobs/{1}:create", "/v1/projects/{0}/jobs"]
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACE_PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def tight(dsn: str) -> Iterator[Server]:
    """A server with very low limits."""
    limits = ("--max-body", MAX_BODY, "--max-waiting", MAX_WAITING, "--deadline", 2)
    with new_server(dsn, *map(str, limits)) as started:
        yield started


@pytest.fixture
def crowded(dsn: str) -> Iterator[Server]:
    """A server where few writes may wait, but for as long as usual."""
    with new_server(dsn, "--max-waiting", str(MAX_WAITING)) as started:
        yield started


class Sender:
    """A connection on which a request can be sent piece by piece."""

    def __init__(self, server: Server, path: str, *headers: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        lines = [
            f"POST {path} HTTP/1.1",
            "host: localhost",
            "content-type: application/json",
            *headers,
        ]
        self.send("\r\n".join(lines) + "\r\n\r\n")

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode())

    def answer(self) -> httpx.Response:
        """Reads the server's answer, by its own length."""
        with self.socket, self.socket.makefile("rb") as file:
            status = int(file.readline().split()[1])
            headers = httpx.Headers()
            while (line := file.readline().strip()) != b"":
                name, _, value = line.decode().partition(": ")
                headers[name] = value
            content = file.read(int(headers["content-length"]))
        return httpx.Response(status, headers=headers, content=content)


def body(size: int) -> bytes:
    """JSON of just that many bytes, for any route that makes a job."""
    empty = b'{"labels": {}}'
    return empty[:-1] + b" " * (size - len(empty)) + b"}"


def too_large(answer: httpx.Response) -> None:
    error = refusal(answer, 413, "INVALID_ARGUMENT", "BODY_TOO_LARGE")
    assert error["message"] == f"body: is larger than {MAX_BODY} bytes"


@pytest.mark.slow
@pytest.mark.parametrize("path", CREATES)
def test_a_body_over_the_limit_is_refused_however_it_is_sent(
    tight: Server, project: str, path: str
) -> None:
    url = path.format(project, "large")
    with tight.client(headers={"content-type": "application/json"}) as client:
        for size in (MAX_BODY + 1, 50 * MAX_BODY, 5_000_000):
            whole = body(size)
            too_large(client.post(url, content=whole))
            too_large(
                client.post(url, content=(whole[n : n + 1_000] for n in range(0, size, 1_000)))
            )
    assert tight.ledger.list(f"project = {project}") == []


def test_a_body_just_as_large_as_the_limit_is_taken(tight: Server, project: str) -> None:
    with tight.client(headers={"content-type": "application/json"}) as client:
        whole = body(MAX_BODY)
        for name, content in (("a", whole), ("b", iter([whole[:-1], whole[-1:]]))):
            path = CREATES[0].format(project, name)
            client.post(path, content=content).raise_for_status()
    assert len(tight.ledger.list(f"project = {project}")) == 2


def test_a_wrong_content_length_is_refused(tight: Server, project: str) -> None:
    path = CREATES[0].format(project, "lie")
    sender = Sender(tight, path, "content-length: 99999999")
    too_large(sender.answer())
    sender = Sender(tight, path, "transfer-encoding: chunked")
    sender.send(f"{MAX_BODY + 1:x}\r\n{' ' * (MAX_BODY + 1)}\r\n")
    too_large(sender.answer())


@pytest.mark.slow
@pytest.mark.parametrize("path", CREATES)
@pytest.mark.parametrize("how", ["content-length: 50", "transfer-encoding: chunked"])
def test_a_body_that_does_not_arrive_times_out(
    tight: Server, project: str, path: str, how: str
) -> None:
    sender = Sender(tight, path.format(project, "slow"), how)
    sender.send('{"la' if "length" in how else '4\r\n{"la\r\n')
    refusal(sender.answer(), 504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    assert tight.ledger.list(f"project = {project}") == []


@pytest.mark.parametrize("sent", ["", "{", '{"labels": {}'])
def test_a_request_whose_sender_goes_away_in_the_middle_of_it_is_never_begun(
    tight: Server, project: str, sent: str
) -> None:
    path = CREATES[0].format(project, "cut")
    sender = Sender(tight, path, "content-length: 50")
    sender.send(sent)
    sender.socket.close()
    eventually(lambda: any(record.get("path") == path for record in tight.logs))
    record = next(record for record in tight.logs if record.get("path") == path)
    assert record["error"] == "body: ended before it was complete; send all of it"
    assert tight.ledger.list(f"project = {project}") == []


def test_requests_beyond_the_limit_are_refused_and_accepted_ones_are_answered(
    tight: Server, project: str
) -> None:
    whole = '{"labels": {}}'
    create = CREATES[0].format(project, "more")
    with tight.client() as client, ThreadPoolExecutor(MAX_WAITING) as readers:
        with locked(tight):
            senders = [
                Sender(tight, CREATES[0].format(project, f"j{n}"), f"content-length: {len(whole)}")
                for n in range(MAX_WAITING)
            ]
            for sender in senders:
                sender.send(whole)
            eventually(lambda: client.post("/ledger/v1/none", json={}).status_code == 503)
            reads = [readers.submit(client.get, "/ledger/v1/jobs") for _ in range(MAX_WAITING)]
            eventually(lambda: client.get("/v1/nothing").status_code == 503)
            for answer in (
                client.get("/ledger/v1/jobs"),
                client.post(create),
                client.get(f"/v1/projects/{project}/jobs"),
                client.post("/ledger/v1/reports:batch", json={"reports": []}),
            ):
                error = refusal(answer, 503, "UNAVAILABLE", "OVERLOADED")
                assert f" {MAX_WAITING} requests are in work;" in error["message"]
                assert int(answer.headers["retry-after"]) > 0
            for probe in ("/healthz", "/readyz"):
                assert client.get(probe).status_code == 200
        assert [sender.answer().status_code for sender in senders] == [200] * MAX_WAITING
        assert [read.result().status_code for read in reads] == [200] * MAX_WAITING
        assert client.post(CREATES[0].format(project, "after")).status_code == 200
    names = sorted(job.name.rpartition("/")[2] for job in tight.ledger.list(f"project = {project}"))
    assert names == ["after", *(f"j{n}" for n in range(MAX_WAITING))]


@pytest.mark.slow
def test_waiting_writes_do_not_block_reads(crowded: Server, project: str) -> None:
    crowded.ledger.create(f"projects/{project}/jobs/there")
    with crowded.client() as client, crowded.ledger.connection() as other:
        with other.transaction():
            other.execute("UPDATE head SET size = size")
            senders = [
                Sender(crowded, CREATES[0].format(project, f"w{n}"), "content-length: 2")
                for n in range(MAX_WAITING)
            ]
            for sender in senders:
                sender.send("{}")
            eventually(lambda: client.post("/ledger/v1/none", json={}).status_code == 503)
            for path in (
                f"/ledger/v1/projects/{project}/jobs/there",
                "/ledger/v1/jobs",
                f"/ledger/v1/projects/{project}/jobs/there/events",
                f"/v1/projects/{project}/jobs",
                "/",
            ):
                assert client.get(path).status_code == 200
        assert [sender.answer().status_code for sender in senders] == [200] * MAX_WAITING


def test_arriving_bodies_use_no_places(tight: Server, project: str) -> None:
    path = CREATES[0].format(project, "slow")
    senders = [Sender(tight, path, "content-length: 50") for _ in range(5 * MAX_WAITING)]
    with tight.client() as client:
        assert client.get("/ledger/v1/jobs").status_code == 200
    for sender in senders:
        sender.socket.close()


def test_a_refused_request_returns_its_place(tight: Server, project: str) -> None:
    with tight.client() as client:
        for _ in range(5 * MAX_WAITING):
            too_large(client.post(CREATES[0].format(project, "x"), content=body(MAX_BODY + 1)))
            refusal(client.get("/ledger/v1/jobs?filter=("), 400, "INVALID_ARGUMENT")
            refusal(client.get("/v1/nothing"), 404, "NOT_FOUND")
        with ExitStack() as stack:
            for _ in range(5 * MAX_WAITING):
                stack.enter_context(Sender(tight, CREATES[0], "content-length: 5").socket)
        eventually(lambda: client.get("/ledger/v1/moment").status_code == 200)


@contextmanager
def locked(server: Server) -> Iterator[None]:
    """Locks jobs and events in PostgreSQL."""
    with server.ledger.connection() as connection, ExitStack() as stack:
        # Whoever catches up may hold one of them already: then PostgreSQL breaks the deadlock.
        while True:
            try:
                with ExitStack() as trying:
                    trying.enter_context(connection.transaction())
                    connection.execute("LOCK TABLE events, jobs IN ACCESS EXCLUSIVE MODE")
                    stack.push(trying.pop_all())
                break
            except DeadlockDetected:
                continue
        yield


@pytest.mark.slow
def test_a_write_blocked_in_postgresql_times_out_and_its_retry_writes_once(
    tight: Server, project: str
) -> None:
    paths = [CREATES[0].format(project, f"j{n}") for n in range(MAX_WAITING - 1)]

    def make(path: str) -> httpx.Response:
        with tight.client() as client:
            return client.post(path, json={"requestId": path})

    with ThreadPoolExecutor(MAX_WAITING) as pool:
        for _ in range(2):  # More than once: none of what it waits with may be lost.
            with locked(tight):
                made = [pool.submit(make, path) for path in paths]
                with tight.client() as client:
                    refusal(client.get(f"/v1/projects/{project}/jobs"), 504, "DEADLINE_EXCEEDED")
                    refusal(client.get("/ledger/v1/jobs"), 504, "DEADLINE_EXCEEDED")
                for answer in made:
                    refusal(answer.result(), 504, "DEADLINE_EXCEEDED")
        for _ in range(2):
            assert [make(path).status_code for path in paths] == [200] * len(paths)
    jobs = tight.ledger.list(f"project = {project}")
    assert [job.version for job in jobs] == [1] * len(paths)


def _is_made(client: httpx.Client, path: str) -> bool:
    """Whether a job that was perhaps begun before is there now."""
    return client.post(path, json={}).status_code in {200, 409}


def test_callers_that_disconnect_return_their_places(tight: Server, project: str) -> None:
    with locked(tight):
        for n in range(MAX_WAITING):
            sender = Sender(tight, CREATES[0].format(project, f"j{n}"), "content-length: 2")
            sender.send("{}")
            sender.socket.close()
    with tight.client() as client:
        eventually(lambda: client.get("/ledger/v1/moment").status_code == 200)
        for n in range(MAX_WAITING):
            path = CREATES[0].format(project, f"j{n}")
            eventually(partial(_is_made, client, path))
    assert len(tight.ledger.list(f"project = {project}")) == MAX_WAITING


# The log


def logged(server: Server, path: str) -> dict[str, Any]:
    """What the log says of the one request of that path."""
    eventually(lambda: any(record.get("path") == path for record in server.logs))
    (record,) = (record for record in server.logs if record.get("path") == path)
    return record


def test_every_log_line_is_json_with_time_and_severity(server: Server) -> None:
    with server.client() as client:
        client.get("/ledger/v1/jobs", params={"filter": "\n{"})
        client.request("BREW", "/")
        client.get("/v1/%0A%22%7B/%F0%9F%90%8E")
    eventually(lambda: any(record.get("path", "").startswith("/v1/\n") for record in server.logs))
    for record in server.logs:
        assert {"time", "level", "logger", "message"} <= record.keys(), record
        assert record["level"] in {"INFO", "WARNING"}


@pytest.mark.parametrize("surface", ["native", "google", "batch"])
def test_the_callers_trace_is_in_the_log_and_kept_with_the_event(
    server: Server, project: str, surface: str
) -> None:
    name = f"projects/{project}/jobs/traced"
    report = {"name": name, "report": "started"}
    path, expected = {
        "native": (f"/ledger/v1/{name}:create", {}),
        "google": (f"/v1/projects/{project}/jobs", {"jobId": "traced"}),
        "batch": ("/ledger/v1/reports:batch", {"reports": [report]}),
    }[surface]
    if surface == "batch":
        server.ledger.create(name)
    with server.client(headers={"traceparent": TRACE_PARENT}) as client:
        client.post(path, json=expected).raise_for_status()
    eventually(lambda: server.logs[-1].get("path") == path)
    record = server.logs[-1]
    assert record["trace_id"] == TRACE
    assert (record["method"], record["status"], record["actor"]) == ("POST", 200, None)
    assert record["seconds"] > 0
    assert server.ledger.history(name)[-1].trace_parent == TRACE_PARENT


@pytest.mark.parametrize("given", [None, "", "00-1-2-3", TRACE_PARENT.upper(), "x" * 5_000])
def test_an_invalid_traceparent_is_ignored(server: Server, project: str, given: str | None) -> None:
    name = f"projects/{project}/jobs/untraced"
    headers = {} if given is None else {"traceparent": given}
    with server.client(headers=headers) as client:
        client.post(f"/ledger/v1/{name}:create").raise_for_status()
    record = logged(server, f"/ledger/v1/{name}:create")
    assert len(record["trace_id"]) == 32
    assert record["trace_id"] != TRACE
    assert server.ledger.history(name)[0].trace_parent is None


def test_the_trace_in_the_body_overrides_the_header(server: Server, project: str) -> None:
    name = f"projects/{project}/jobs/traced"
    own = TRACE_PARENT.replace("b7ad", "0000")
    with server.client(headers={"traceparent": TRACE_PARENT}) as client:
        client.post(f"/ledger/v1/{name}:create", json={"traceParent": own}).raise_for_status()
    assert server.ledger.history(name)[0].trace_parent == own


@pytest.mark.slow
def test_the_log_has_the_caller_and_the_reason_and_no_secret(dsn: str) -> None:
    with new_server(dsn, "--log-level", "debug") as server:
        secret = Tokens(server.ledger.pool).create("ci", Role.REPORTER)
        bearer = {"authorization": f"Bearer {secret}"}
        with server.client() as client:
            create = client.post("/ledger/v1/projects/p/jobs/a:create", headers=bearer)
            refusal(create, 403, "PERMISSION_DENIED")
            refusal(client.get("/v1/projects/p/jobs"), 401, "UNAUTHENTICATED")
            client.get(f"/v1/projects/p/jobs?access_token={secret}&key={secret}", headers=bearer)
            client.get("/v1/projects/p/jobs", headers={"authorization": secret})
            client.get("/v1/projects/p/jobs", headers={"authorization": f"Bearer {secret}x"})
            client.get("/ledger/v1/jobs", headers={"authorization": f"Bearer x{secret}"})
            client.get("/ledger/v1/moment", headers=bearer).raise_for_status()
        record = logged(server, "/ledger/v1/projects/p/jobs/a:create")
        assert (record["status"], record["actor"]) == (403, "ci")
        assert (
            record["error"]
            == "token 'ci' does not permit this: the request needs the role operator"
        )
        assert logged(server, "/ledger/v1/moment")["actor"] == "ci"
        assert "error" not in logged(server, "/ledger/v1/moment")
        message = json.dumps(server.logs)
        assert secret not in message
        assert secret[4:] not in message
