"""The feed as server-sent events: complete, without repetitions, and limited by token and project."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any, NamedTuple

import httpx
import orjson
import psutil
import pytest
from jobledger.domain.errors import BeyondEndError
from jobledger.infra import Ledger
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.client.feed import Decoder
from jobledger.infra.eventstore.json_view import event_json
from jobledger.infra.serving.context import Limits

from tests.http.test_http import refusal
from tests.servers import Server, new_server, serving

STREAM = "/ledger/v1/events:stream"
SOON = 60.0
"""The timeout of expectations, in seconds, for the slowest machine."""


class Sent(NamedTuple):
    """One server-sent event."""

    id: int
    type: str
    data: dict[str, Any]


@contextmanager
def following(
    client: httpx.Client, last: int | None = None, **query: Any
) -> Iterator[Iterator[Sent]]:
    """The feed of one connection, as a browser's EventSource reads it."""
    headers = {} if last is None else {"last-event-id": str(last)}
    with client.stream("GET", STREAM, params=query, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield sent(answer.iter_lines())


def end_of(client: httpx.Client) -> int:
    """The ledger's last position."""
    return int(client.get("/ledger/v1/jobs").json()["position"])


def sent(lines: Iterator[str]) -> Iterator[Sent]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield Sent(int(fields["id"]), fields["event"], orjson.loads(fields["data"]))
            fields.clear()


def write(server: Server, project: str, jobs: int, each: int, token: str = "") -> None:
    """So many jobs from 8 callers at once, and so many events of each, one request an event."""

    def work(number: int) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        path = f"/ledger/v1/projects/{project}/jobs/j{number}"
        with server.client(headers=headers) as client:
            for n in range(each):
                verb = "progressReported" if n else "create"
                client.post(f"{path}:{verb}", json={}).raise_for_status()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(jobs)))


def eventually(expected: Callable[[], bool], within: float = SOON) -> None:
    """Waits for a condition; fails after a timeout."""
    until = time.monotonic() + within
    while not expected():
        assert time.monotonic() < until
        time.sleep(0.02)


def ends(events: Iterator[Sent]) -> bool:
    """Whether a stream ends within a timeout; its events are dropped."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: [*events]).result(SOON) is not None


def stored(ledger: Ledger, after: int) -> list[Sent]:
    events = ledger.events(after, follow=False)
    return [Sent(event.position, event.type, event_json(event)) for event in events]


@pytest.mark.slow
def test_a_follower_sees_every_event_in_order_and_once(server: Server, project: str) -> None:
    began = server.ledger.size()

    def follow() -> list[Sent]:
        with server.client() as client, following(client, after=began) as events:
            return list(islice(events, 2_000))

    with ThreadPoolExecutor(3) as pool:
        followers = [pool.submit(follow) for _ in range(3)]
        write(server, project, 8, 250)
        written = stored(server.ledger, began)
        assert [event.id for event in written] == list(range(began + 1, began + 2_001))
        for follower in followers:
            assert follower.result(SOON) == written


@pytest.mark.slow
def test_a_dropped_stream_continues_at_its_last_event(server: Server, project: str) -> None:
    began = last = server.ledger.size()
    seen: list[Sent] = []
    with ThreadPoolExecutor(1) as pool, server.client() as client:
        writing = pool.submit(write, server, project, 16, 25)
        while len(seen) < 400:
            # `after` is what the page was opened with; a browser sends it again, and the id as well.
            with following(client, last, after=began) as events:
                seen += islice(events, 70 if len(seen) < 350 else 400 - len(seen))
            last = seen[-1].id
        writing.result()
    assert seen == stored(server.ledger, began)


def test_a_follower_begins_after_the_position_it_names(server: Server, project: str) -> None:
    began = server.ledger.size()
    write(server, project, 1, 5)
    with server.client() as client:
        for after in (began, began + 3):
            with following(client, after=after) as events:
                assert next(events).id == after + 1
        with following(client, after=began + 5) as events:
            server.ledger.started(f"projects/{project}/jobs/j0")
            assert next(events).id == began + 6
        with following(client) as events:
            assert next(events).id == 1


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "\uff11", "9" * 19, "1,2"])
def test_an_invalid_last_event_id_is_refused(server: Server, last: str) -> None:
    with server.client() as client:
        answer = client.get(STREAM, headers={b"last-event-id": last.encode()})
        error = refusal(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
        assert error["message"].startswith("Last-Event-ID: ")
        refusal(client.get(STREAM, params={"after": last}), 400, "INVALID_ARGUMENT")


@pytest.mark.slow
def test_streams_end_when_the_server_is_stopped(server: Server, dsn: str, project: str) -> None:
    write(server, project, 1, 3)
    with ExitStack() as stack:
        stopped = stack.enter_context(serving(server.ledger, dsn))
        client = stack.enter_context(stopped.client())
        began = server.ledger.size() - 3
        streams = [stack.enter_context(following(client, after=began)) for _ in range(5)]
        for events in streams:
            assert [event.id for event in islice(events, 3)] == [began + 1, began + 2, began + 3]
        idle = time.monotonic()
        assert stopped.stop() == 0
        assert time.monotonic() - idle < SOON
        assert [list(events) for events in streams] == [[]] * 5


@pytest.mark.slow
def test_one_stream_too_many_is_refused_until_another_ends(server: Server) -> None:
    most = Limits().max_streams
    with ExitStack() as stack:
        client = stack.enter_context(server.client(limits=httpx.Limits(max_connections=None)))
        streams = [stack.enter_context(ExitStack()) for _ in range(most)]
        for stream in streams:
            stream.enter_context(following(client, after=end_of(client)))
        answer = client.get(STREAM)
        refusal(answer, 503, "UNAVAILABLE", "OVERLOADED")
        assert int(answer.headers["retry-after"]) > 0
        streams[0].close()

        def free() -> bool:
            with client.stream("GET", STREAM) as again:
                return again.status_code == 200

        eventually(free)


@pytest.mark.slow
def test_idle_streams_take_no_threads_and_no_more_memory_as_time_goes(dsn: str) -> None:
    with new_server(dsn) as server, ExitStack() as stack:
        process = psutil.Process(server.process.pid)
        client = stack.enter_context(server.client())
        for _ in range(10):  # Whatever is made when it is first needed is there then.
            with following(client, after=end_of(client)):
                client.get("/ledger/v1/jobs").raise_for_status()
        threads, memory = process.num_threads(), process.memory_info().rss
        for _ in range(50):
            stack.enter_context(following(client, after=end_of(client)))
        opened = process.memory_info().rss
        time.sleep(2)  # Forty reads of the ledger.
        assert process.num_threads() < threads + 16  # A pool may have had some to make yet.
        assert opened - memory < 32 * 2**20
        assert process.memory_info().rss - opened < 4 * 2**20


@pytest.fixture(scope="module")
def guarded(dsn: str) -> Iterator[Server]:
    """A server that needs tokens: it has one that nobody uses."""
    with new_server(dsn) as started:
        Tokens(started.ledger.pool).create("unused", Role.READER)
        yield started


def bearer(server: Server, name: str, role: Role, project: str | None = None) -> httpx.Client:
    """A client with a token of its own, which has that name."""
    secret = Tokens(server.ledger.pool).create(name, role, project)
    return server.client(headers={"authorization": f"Bearer {secret}"})


@pytest.mark.slow
def test_a_token_of_a_project_sees_no_other_project(guarded: Server) -> None:
    ledger = guarded.ledger
    for number in range(700):  # More than one page of events that are not theirs.
        ledger.create(f"projects/{'qp'[number % 50 == 0]}/jobs/j{number}")
    with (
        bearer(guarded, "of-p", Role.READER, "p") as limited,
        bearer(guarded, "of-all", Role.READER) as reader,
        following(limited) as theirs,
        following(reader) as everything,
    ):
        assert len(list(islice(everything, 700))) == 700
        seen = list(islice(theirs, 14))
        assert [event.data["name"] for event in seen] == [
            f"projects/p/jobs/j{number}" for number in range(0, 700, 50)
        ]
        ledger.create("projects/q/jobs/last")
        ledger.create("projects/p/jobs/last")
        assert next(theirs).data["name"] == "projects/p/jobs/last"


@pytest.mark.slow
def test_the_stream_of_a_token_that_was_revoked_ends(guarded: Server) -> None:
    ledger, began = guarded.ledger, guarded.ledger.size()
    with (
        bearer(guarded, "leaving", Role.READER) as leaving,
        following(leaving, after=began) as events,
        ThreadPoolExecutor(1) as pool,
    ):
        ledger.create("projects/p/jobs/before")
        assert next(events).data["name"] == "projects/p/jobs/before"
        Tokens(ledger.pool).revoke("leaving")
        ended = pool.submit(list, events)
        number = 0

        def over() -> bool:
            nonlocal number
            ledger.create(f"projects/p/jobs/after{number}")
            number += 1
            return ended.done()

        eventually(over)
        assert len(ended.result()) < number
        error = refusal(leaving.get(STREAM), 401, "UNAUTHENTICATED", "UNAUTHENTICATED")
        assert error["message"] == "token 'leaving' was revoked; ask for a new one"


@pytest.mark.slow
def test_an_idle_stream_is_kept_alive_and_its_token_looked_at_then(guarded: Server) -> None:
    with (
        bearer(guarded, "idle", Role.READER) as idle,
        idle.stream("GET", STREAM, params={"after": end_of(idle)}) as answer,
    ):
        lines = answer.iter_lines()
        # No blank line, which would end an event without anything in it.
        assert list(islice(lines, 2)) == ["retry: 1000", ": still here"]
        Tokens(guarded.ledger.pool).revoke("idle")
        # It ends when the token is looked at next, which is after this line or the next of its kind.
        assert list(lines) in ([], [": still here"])


@pytest.mark.slow
def test_a_stream_says_that_the_ledger_lost_what_was_sent(dsn: str) -> None:
    with new_server(dsn) as server, server.client() as client:
        for number in range(3):
            server.ledger.create(f"projects/p/jobs/lost{number}")
        with client.stream("GET", STREAM, params={"after": 2}) as answer:
            events = filter(None, map(Decoder().read, answer.iter_lines()))
            assert next(events).position == 3
            with server.ledger.connection() as connection, connection.transaction():
                connection.execute("SET LOCAL session_replication_role = replica")
                connection.execute("DELETE FROM events WHERE position > 1")
                connection.execute("UPDATE head SET size = 1")
            for number in range(3):
                server.ledger.create(f"projects/p/jobs/new{number}")
            with pytest.raises(BeyondEndError, match="position 3 has another event") as caught:
                next(events)
        assert (caught.value.position, caught.value.end) == (3, 4)


def test_a_stream_needs_a_token(guarded: Server) -> None:
    with guarded.client() as client:
        answer = client.get(STREAM)
        refusal(answer, 401, "UNAUTHENTICATED", "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == 'Bearer realm="jobledger"'


def test_a_follower_of_a_job_begins_after_the_version_it_names(
    server: Server, project: str
) -> None:
    ledger, name = server.ledger, f"projects/{project}/jobs/a"
    ledger.create(f"projects/{project}/jobs/other")
    ledger.create(name)
    ledger.started(name)
    ledger.create(f"projects/{project}/jobs/another")
    ledger.failed(name)
    with server.client() as client:
        for after in range(3):
            with following(client, name=name, after=after) as events:
                seen = [event.data["version"] for event in islice(events, 3 - after)]
                assert seen == list(range(after + 1, 4))
        with following(client, name=name, after=3) as events:
            ledger.retry(name)
            assert next(events).data["version"] == 4
        with following(client, name=f"projects/{project}/jobs/new") as events:
            ledger.create(f"projects/{project}/jobs/new")
            assert next(events).data["version"] == 1
        refusal(client.get(STREAM, params={"name": name, "after": 5}), 400, "INVALID_ARGUMENT")


def test_a_strict_reader_sees_one_event_a_block(server: Server, project: str) -> None:
    """To a reader that makes an event of whatever a blank line ends, and splits lines as Unicode does."""
    name = f"projects/{project}/jobs/a"
    server.ledger.create(name, spec={"note": "one\u2028two\u2029three\x85four"})
    server.ledger.started(name)
    read = ""
    with server.client() as client, client.stream("GET", STREAM, params={"name": name}) as answer:
        for text in answer.iter_text():
            read += text
            if read.count("\n\n") == 2:
                break
    blocks = "\n".join(read.splitlines()).strip("\n").split("\n\n")
    assert len(blocks) == 2
    for block in blocks:
        fields = [line.partition(": ") for line in block.split("\n")]
        assert [f for f, _, _ in fields if f != "retry"] == ["event", "data", "id"]
        assert orjson.loads({f: v for f, _, v in fields}["data"])["name"] == name


def test_a_follower_ahead_of_the_ledger_is_refused_with_the_last_position(server: Server) -> None:
    with server.client() as client:
        end = client.get("/ledger/v1/moment").json()["position"]
        for query, headers, field in (
            ({"after": end + 1}, {}, "after"),
            ({}, {"last-event-id": str(end + 5)}, "Last-Event-ID"),
            ({"after": 0}, {"last-event-id": str(10**17)}, "Last-Event-ID"),
        ):
            answer = client.get(STREAM, params=query, headers=headers)
            error = refusal(answer, 400, "INVALID_ARGUMENT")
            assert error["message"].startswith(f"{field}: position")
            assert f"the ledger's last position is {end}" in error["message"]
        answer = client.get("/ledger/v1/events", params={"after": end + 1})
        assert f"last position is {end}" in refusal(answer, 400, "INVALID_ARGUMENT")["message"]
        assert client.get("/ledger/v1/events", params={"after": end}).json()["events"] == []
