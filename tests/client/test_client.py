"""`jobledger.client`: the methods of `Ledger` through a server, without losses or repetitions on a bad connection."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from itertools import islice
from threading import Thread
from typing import Any, Self

import httpx
import pytest
from jobledger import Ledger
from jobledger.client import AsyncClient, Client, ServerRefusedError
from jobledger.domain.errors import (
    BeyondEndError,
    EtagMismatchError,
    IllegalTransitionError,
    InvalidFieldError,
    JobExistsError,
    JobNotFoundError,
    RequestReusedError,
)
from jobledger.domain.states import JobState as S
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.client.refusals import error_of
from jobledger.infra.errors import (
    LedgerUnavailableError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from jobledger.infra.retention.rules import RetentionRule

from tests.servers import Server, new_server

READS = [
    "command",
    "count",
    "drop_retention_rule",
    "events",
    "get",
    "history",
    "hold",
    "holds",
    "list",
    "moment",
    "page",
    "release",
    "report",
    "retention_rules",
    "scan",
    "set_retention_rule",
    "tree",
]


class Losing(httpx.BaseTransport):
    """Sends every request, and loses the answers to some: `lost` says which, by their number."""

    def __init__(self, lost: Callable[[int], bool]) -> None:
        self._real = httpx.HTTPTransport()
        self._lost = lost
        self.sent = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent += 1
        answer = self._real.handle_request(request)
        if request.url.path.endswith(":stream"):
            return httpx.Response(
                answer.status_code, headers=answer.headers, stream=Breaking(answer, self.sent)
            )
        if self._lost(self.sent):
            answer.read()
            answer.close()
            raise httpx.RemoteProtocolError("the answer was lost")
        return answer

    def close(self) -> None:
        self._real.close()


class Full(Losing):
    """Refuses every stream, as a server does that has as many followers as it takes."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(":stream"):
            self.sent += 1
            return httpx.Response(429, headers={"retry-after": "0"}, text="no more followers")
        return super().handle_request(request)


class FailingOver(Losing):
    """The first stream finds no server: its database fails over meanwhile."""

    def __init__(self, fail_over: Callable[[], None]) -> None:
        super().__init__(lambda _: False)
        self._waiting = [fail_over]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(":stream") and self._waiting:
            self._waiting.pop()()
            raise httpx.ConnectError("no server")
        return super().handle_request(request)


class Breaking(httpx.SyncByteStream):
    """A stream that breaks off in the middle of its third chunk."""

    def __init__(self, answer: httpx.Response, number: int) -> None:
        self._answer = answer
        self._number = number

    def __iter__(self) -> Iterator[bytes]:
        for number, chunk in enumerate(self._answer.iter_raw()):
            if number == 3 and self._number < 30:
                yield chunk[: len(chunk) // 2]
                raise httpx.ReadError("the connection broke off")
            yield chunk

    def close(self) -> None:
        self._answer.close()


class Waited:
    """Presents an AsyncClient as a Client: each call runs in a loop of its own thread."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client = AsyncClient(*args, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, awaitable: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(awaitable, self._loop).result(60)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **options: Any) -> Any:
            answer = method(*args, **options)
            return self._each(answer) if isinstance(answer, AsyncIterator) else self._run(answer)

        return call

    def _each(self, items: Any) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._run(items.__anext__())
                except StopAsyncIteration:
                    return
        finally:
            self._run(items.aclose())


@pytest.fixture(params=[Client, Waited], ids=["threads", "asyncio"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Any]:
    with request.param(server.url) as made:
        yield made


def plain(events: Any) -> list[tuple[Any, ...]]:
    """Events without the fields that a server does not send."""
    return [
        (e.position, e.name, e.version, e.type, e.occurred_time, e.recorded_time, e.actor, e.request_id,
         e.stored, e.state)
        for e in events
    ]  # fmt: skip


@pytest.mark.slow
def test_a_job_written_through_the_server_equals_one_of_the_ledger(
    client: Any, server: Server, project: str
) -> None:
    name, ledger = f"projects/{project}/jobs/a", server.ledger
    made = client.create(name, {"team": "a"}, {"epochs": 9}, request_id="once")
    assert (made.state, made.labels, made.spec) == (S.QUEUED, {"team": "a"}, {"epochs": 9})
    assert client.create(name, {"team": "a"}, {"epochs": 9}, request_id="once").version == 1
    client.started(name, {"worker": "node-7"}, attempt=1)
    client.failed(name, {"code": 8, "message": "out of memory"})
    job = client.retry(name, "more memory")
    assert job == ledger.get(name)
    assert job.etag == ledger.get(name).etag
    client.succeeded(name, {"accuracy": 0.9}, attempt=2)
    assert client.get(name) == ledger.get(name)
    assert client.get(name, as_of="v3") == ledger.get(name, as_of="v3")
    assert plain(client.history(name)) == plain(ledger.history(name))

    filter_ = f"project = {project}"
    for number in range(5):
        client.create(f"projects/{project}/jobs/b{number}")
    assert client.list(filter_) == ledger.list(filter_)
    assert client.list(filter_, limit=2, order_by="name") == ledger.list(
        filter_, limit=2, order_by="name"
    )
    page = client.page(filter_, page_size=4)
    rest = client.page(filter_, page_size=4, page_token=page.next_page_token)
    assert [*page.jobs, *rest.jobs] == ledger.list(filter_)
    assert rest.next_page_token == ""
    assert client.count("state", filter_).counts == ledger.count("state", filter_).counts
    moment = client.moment(f"@{ledger.size()}")
    assert moment == ledger.moment(f"@{ledger.size()}")
    assert client.list(filter_, as_of=moment) == ledger.list(filter_, as_of=moment)


def test_errors_are_those_of_the_ledger(client: Any, server: Server, project: str) -> None:
    name = f"projects/{project}/jobs/a"
    client.create(name)
    wrong: list[tuple[type[Exception], Callable[[], Any]]] = [
        (JobExistsError, lambda: client.create(name)),
        (JobNotFoundError, lambda: client.get(f"{name}x")),
        (JobNotFoundError, lambda: client.started(f"{name}x")),
        (IllegalTransitionError, lambda: client.resume(name)),
        (EtagMismatchError, lambda: client.change_labels(name, {}, etag="AAAA")),
        (InvalidFieldError, lambda: client.list("state =")),
        (InvalidFieldError, lambda: client.list(f"name = '{'x' * 70_000}'")),
        (InvalidFieldError, lambda: client.get("no name")),
        (InvalidFieldError, lambda: client.cancel(name, actor="me")),
    ]
    for error, call in wrong:
        with pytest.raises(error) as ours:
            call()
        assert type(ours.value) is error
    with pytest.raises(JobNotFoundError) as caught:
        client.get(f"{name}x")
    with pytest.raises(JobNotFoundError) as native:
        server.ledger.get(f"{name}x")
    assert str(caught.value) == str(native.value)
    assert caught.value.name == f"{name}x"


WITHOUT_ZONE = datetime(2026, 1, 31, 12)  # noqa: DTZ001  that is what is tested


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        lambda ledger, name: ledger.failed(name, occurred_time=WITHOUT_ZONE),
        lambda ledger, name: ledger.failed(name, occurred_time="2026-01-31T12:00:00Z"),
        lambda ledger, name: ledger.failed(name, request_id=""),
        lambda ledger, name: ledger.failed(name, run_id=""),
        lambda ledger, name: ledger.get(name, as_of=WITHOUT_ZONE),
        lambda ledger, name: ledger.get(name, as_of="v99"),
        lambda ledger, name: ledger.page(page_token="wrong"),
        lambda ledger, name: ledger.page(page_size=-1),
        lambda ledger, name: ledger.list(order_by="wrong"),
        lambda ledger, name: ledger.list(limit=-1),
        lambda ledger, name: [*ledger.events(-1, follow=False)],
        lambda ledger, name: ledger.change_config(name, {"x": float("nan")}),
        lambda ledger, name: ledger.change_config(name, {"x": {1: 2}}),
        lambda ledger, name: ledger.change_config(name, {"x": b"bytes"}),
        lambda ledger, name: ledger.change_config(name, {"x": "\ud800"}),
    ],
)
def test_a_wrong_argument_is_refused_as_by_the_ledger(
    client: Any, server: Server, project: str, wrong: Callable[[Any, str], Any]
) -> None:
    name = f"projects/{project}/jobs/a"
    server.ledger.create(name)
    with pytest.raises(InvalidFieldError) as ours:
        wrong(client, name)
    with pytest.raises(InvalidFieldError) as native:
        wrong(server.ledger, name)
    assert ours.value.field == native.value.field
    assert str(ours.value).startswith(f"{ours.value.field}: ")
    assert server.ledger.get(name).version == 1


@pytest.mark.slow
@pytest.mark.parametrize("every", [2, 3])
def test_a_request_whose_answer_was_lost_is_repeated_and_written_once(
    server: Server, project: str, every: int
) -> None:
    name = f"projects/{project}/jobs/a"
    transport = Losing(lambda number: number % every != 0)
    with Client(server.url, transport=transport) as client:
        client.create(name)
        client.started(name)
        for step in range(5):
            client.progress_reported(name, {"step": step})
        client.succeeded(name)
    events = server.ledger.history(name)
    assert [e.type for e in events] == [
        "Created",
        "Started",
        *["ProgressReported"] * 5,
        "Succeeded",
    ]
    assert transport.sent > len(events)
    assert len({e.request_id for e in events}) == len(events)


def test_a_broken_feed_continues_at_its_last_position(server: Server, project: str) -> None:
    began, name = server.ledger.size(), f"projects/{project}/jobs/a"
    server.ledger.create(name)

    def write() -> None:
        for step in range(60):
            server.ledger.progress_reported(name, {"step": step})

    writing = Thread(target=write)
    with Client(server.url, transport=Losing(lambda _: False)) as client:
        feed = client.events(began)
        seen = [next(feed)]
        writing.start()
        seen += islice(feed, 60)
        writing.join()
    assert plain(seen) == plain(server.ledger.events(began, follow=False))


@pytest.mark.slow
@pytest.mark.parametrize("kept", [1, 3])
def test_a_feed_that_connects_again_finds_that_what_it_read_was_lost(dsn: str, kept: int) -> None:
    with new_server(dsn) as server:

        def fail_over() -> None:
            with server.ledger.connection() as connection, connection.transaction():
                connection.execute("SET LOCAL session_replication_role = replica")
                connection.execute("DELETE FROM events WHERE position > %s", (kept,))
                connection.execute("UPDATE head SET size = %s", (kept,))
            for number in range(3):
                server.ledger.create(f"projects/p/jobs/new{number}")

        for number in range(3):
            server.ledger.create(f"projects/p/jobs/lost{number}")
        with Client(server.url, transport=FailingOver(fail_over)) as client:
            feed = client.events()
            assert [event.position for event in islice(feed, 3)] == [1, 2, 3]
            if kept == 3:
                assert next(feed).name == "projects/p/jobs/new0"
            else:
                with pytest.raises(BeyondEndError, match="position 3 has another event"):
                    next(feed)


@pytest.mark.parametrize("client_form", [Client, Waited])
@pytest.mark.parametrize("new", [0, 2])
def test_the_next_page_of_a_feed_finds_that_what_was_read_was_lost(
    client_form: Any, dsn: str, new: int
) -> None:
    with new_server(dsn) as server:
        for number in range(3):
            server.ledger.create(f"projects/p/jobs/lost{number}")
        with client_form(server.url) as client:
            feed = client.events(follow=False)
            assert [event.position for event in islice(feed, 3)] == [1, 2, 3]
            with server.ledger.connection() as connection, connection.transaction():
                connection.execute("SET LOCAL session_replication_role = replica")
                connection.execute("DELETE FROM events WHERE position > 1")
                connection.execute("UPDATE head SET size = 1")
            for number in range(new):
                server.ledger.create(f"projects/p/jobs/new{number}")
            with pytest.raises(BeyondEndError, match=f"the ledger's last position is {1 + new}"):
                next(feed)


def test_a_feed_that_is_refused_is_asked_for_as_often_as_any_request(server: Server) -> None:
    transport = Full(lambda _: False)
    with (
        Client(server.url, retries=2, transport=transport) as client,
        pytest.raises(ServerRefusedError, match="no more followers"),
    ):
        next(client.events(server.ledger.size()))
    assert transport.sent == 1 + 3  # The page before the stream, and three streams.


def test_a_feed_ends_at_the_position_asked_for(client: Any, server: Server, project: str) -> None:
    began = server.ledger.size()
    for number in range(3):
        client.create(f"projects/{project}/jobs/j{number}")
    assert [e.position for e in client.events(began, follow=False)] == [
        began + 1, began + 2, began + 3,
    ]  # fmt: skip
    following = client.events(began)
    assert [e.version for e in islice(following, 3)] == [1, 1, 1]
    following.close()


@pytest.mark.slow
def test_a_worker_needs_a_token_and_no_database_password(dsn: str) -> None:
    with new_server(dsn) as server:
        tokens = Tokens(server.ledger.pool)
        name = "projects/p/jobs/a"
        server.ledger.create(name)
        reporter = tokens.create("worker", Role.REPORTER)
        with Client(server.url, reporter) as client:
            client.started(name)
            assert client.history(name)[-1].actor == "worker"
            with pytest.raises(PermissionDeniedError):
                client.cancel(name)
            [done, refused] = client.report_batch(
                [{"name": name, "report": "succeeded"}, {"name": "no", "report": "started"}]
            )
            assert (done["state"], refused["error"]["code"]) == ("SUCCEEDED", 3)
        for token in (None, "wrong"):
            with Client(server.url, token) as stranger, pytest.raises(UnauthenticatedError):
                stranger.get(name)


def test_an_unreachable_server_is_tried_again_and_then_named_in_the_error(free: str) -> None:
    with Client(free, retries=1) as client:
        with pytest.raises(
            LedgerUnavailableError,
            match=r"^the ledger's server cannot be reached: it gave no answer: ",
        ):
            client.get("projects/p/jobs/a")
        with pytest.raises(LedgerUnavailableError):
            next(client.events())


@pytest.mark.slow
def test_a_tree_from_the_server_equals_the_ledgers(client: Any, server: Server) -> None:
    top, below, deep, foreign = (
        f"projects/{project}/jobs/tree_{type(client).__name__}_{name}"
        for project, name in (("p", "top"), ("p", "below"), ("p", "deep"), ("other", "foreign"))
    )
    ledger = server.ledger
    ledger.create(top)
    early = ledger.moment()
    for name, parent in ((below, top), (deep, below), (foreign, top)):
        ledger.create(name, spec={"parents": [parent]})

    def names(tree: Any) -> list[tuple[int, str]]:
        return [(depth, job.name) for depth, job in tree.walk()]

    assert names(client.tree(top)) == names(ledger.tree(top))
    assert names(client.tree(top)) == [(0, top), (1, below), (2, deep), (1, foreign)]
    assert names(client.tree(top, as_of=early)) == [(0, top)]
    with pytest.raises(JobNotFoundError):
        client.tree(below, as_of=early)


@pytest.mark.slow
def test_a_tree_has_what_its_reader_may_see(dsn: str) -> None:
    with new_server(dsn) as own:
        for project, parents in (("p", []), ("q", ["projects/p/jobs/a"])):
            own.ledger.create(f"projects/{project}/jobs/a", spec={"parents": parents})
        secret = Tokens(own.ledger.pool).create("reader", Role.READER, "p")
        with Client(own.url, secret) as client:
            assert client.tree("projects/p/jobs/a").children == []
            with pytest.raises(PermissionDeniedError):
                client.tree("projects/q/jobs/a")


@pytest.mark.slow
def test_holds_and_rules_through_the_server_are_the_ledgers(
    client: Any, server: Server, project: str
) -> None:
    name = f"projects/{project}/jobs/kept"
    rule = RetentionRule(f"r-{project}"[:60], 1e8, ("FAILED",), "jobs", 'labels.team = "a"')
    client.create(name)
    client.hold(name, "reference run", pin=True)
    position = client.hold(name, "case 7", request_id="h-1")
    assert client.hold(name, "case 7", request_id="h-1") == position
    assert [each for each in client.holds() if each.name == name] == [
        each for each in server.ledger.holds() if each.name == name
    ]
    with pytest.raises(InvalidFieldError, match="under a legal hold already, since"):
        client.hold(name, "again")
    with pytest.raises(RequestReusedError):
        client.hold(name, "case 8", request_id="h-1")
    with pytest.raises(RequestReusedError):
        client.release(name, request_id="h-1")
    client.release(name, "closed")
    client.release(name, pin=True)
    with pytest.raises(InvalidFieldError, match="is not pinned"):
        client.release(name, pin=True)
    client.set_retention_rule(rule)
    assert rule in client.retention_rules()
    assert client.retention_rules() == server.ledger.retention_rules()
    dropped = client.drop_retention_rule(rule.name, request_id=f"d-{project}")
    assert client.drop_retention_rule(rule.name, request_id=f"d-{project}") == dropped
    assert rule not in client.retention_rules()
    with pytest.raises(RequestReusedError):
        client.drop_retention_rule("other", request_id=f"d-{project}")
    with pytest.raises(InvalidFieldError, match="there is no rule"):
        client.drop_retention_rule(rule.name)
    with pytest.raises(InvalidFieldError, match=r"-1\.0 seconds are not 0 to 100 years"):
        client.set_retention_rule(rule._replace(keep_seconds=-1.0))


@pytest.mark.slow
def test_a_token_of_a_project_sees_its_holds_and_no_rules(dsn: str) -> None:
    with new_server(dsn) as own:
        for project in ("p", "q"):
            own.ledger.create(f"projects/{project}/jobs/a")
            own.ledger.hold(f"projects/{project}/jobs/a", "case 7")
        secret = Tokens(own.ledger.pool).create("admin", Role.ADMIN, "p")
        with Client(own.url, secret) as client:
            assert [each.name for each in client.holds()] == ["projects/p/jobs/a"]
            client.release("projects/p/jobs/a")
            for call in (
                client.retention_rules,
                lambda: client.drop_retention_rule("old"),
                lambda: client.set_retention_rule(RetentionRule("old", 0.0)),
                lambda: client.hold("projects/q/jobs/a", "mine", pin=True),
            ):
                with pytest.raises(PermissionDeniedError):
                    call()
        [held] = own.ledger.holds()
        assert held.name == "projects/q/jobs/a"


@pytest.fixture
def free() -> str:
    """An address without a listener."""
    import socket

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_a_server_that_is_not_a_job_ledger_is_named_in_the_error(server: Server) -> None:
    with Client(f"{server.url}/elsewhere") as client, pytest.raises(ServerRefusedError) as caught:
        client.get("projects/p/jobs/a")
    assert (caught.value.http, caught.value.code) == (404, "NOT_FOUND")
    page = error_of(404, b"<html>not here</html>")
    assert str(page) == "HTTP 404: <html>not here</html>"


@pytest.mark.parametrize("method", READS)
def test_methods_have_the_parameters_of_the_ledgers_methods(method: str) -> None:
    """In both forms; a server gives no further choice of chunks."""
    ledger = inspect.signature(getattr(Ledger, method)).parameters
    for form in (Client, AsyncClient):
        taken = inspect.signature(getattr(form, method)).parameters
        assert set(taken) - {"about"} <= set(ledger), method
        assert inspect.getdoc(getattr(form, method))
