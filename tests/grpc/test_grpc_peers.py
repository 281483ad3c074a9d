"""gRPC clients with incomplete calls, or that disconnect: others are answered, and queries end."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event as Signal

import grpc
import pytest

from tests.grpc.test_grpc_server import ASKED, IN_P, _in_work, locked, until
from tests.grpc_clients import Clients, connected, new_grpc_server, refusal
from tests.servers import Server

pytestmark = pytest.mark.slow

FILES = 300
GET = "/google.cloud.aiplatform.v1.JobService/GetCustomJob"
LIST = "/google.cloud.aiplatform.v1.JobService/ListCustomJobs"


@pytest.fixture(scope="module")
def served(dsn: str) -> Iterator[tuple[Server, Clients]]:
    """A server that may have few files, and eight calls at once, half of them from one address."""
    with new_grpc_server(dsn, "--max-waiting", "2") as (server, google):
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (FILES, hard))
        yield server, google


def is_open(one: socket.socket) -> bool:
    """Whether the server has not closed the connection."""
    one.setblocking(False)
    try:
        while data := one.recv(65_536):
            del data
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def test_an_address_has_half_of_the_connections_and_a_new_one_is_answered(
    served: tuple[Server, Clients],
) -> None:
    server, google = served
    refusal("NotFound", google.jobs.get_custom_job, ASKED)
    with ExitStack() as stack:
        held = []
        for _ in range(FILES - 150):
            address = ("127.0.0.1", server.port)
            held.append(stack.enter_context(socket.create_connection(address, 10)))
        until(lambda: sum(map(is_open, held)) <= (FILES - 128) // 2)
        assert is_open(held[-1])  # The oldest went.
        with connected(server) as other:
            refusal("NotFound", other.jobs.get_custom_job, ASKED)


def test_calls_without_their_message_make_way_for_others(served: tuple[Server, Clients]) -> None:
    server, google = served
    ending = Signal()

    def nothing() -> Iterator[bytes]:
        ending.wait()
        yield from ()

    with ExitStack() as stack:
        halves = []
        for _ in range(12):
            channel = stack.enter_context(connected(server)).channel
            halves.append(channel.stream_unary(GET).future(nothing()))
        stack.callback(ending.set)
        for _ in range(5):
            refusal("NotFound", google.jobs.get_custom_job, ASKED)
        until(lambda: sum(half.done() for half in halves) >= 8)
        assert all(half.code() is grpc.StatusCode.UNAVAILABLE for half in halves if half.done())


@pytest.mark.parametrize("cancels", [True, False], ids=["cancel", "close"])
def test_a_disconnected_caller_ends_its_query(
    served: tuple[Server, Clients], *, cancels: bool
) -> None:
    server, _ = served
    with locked(server.ledger):
        began = time.monotonic()
        with connected(server) as other:
            asked = other.v.ListCustomJobsRequest(parent=IN_P)
            call = other.channel.unary_unary(LIST).future(type(asked).serialize(asked))
            until(lambda: _in_work(server) == 1)
            if cancels:
                call.cancel()
                until(lambda: _in_work(server) == 0)
        until(lambda: _in_work(server) == 0)
        assert time.monotonic() - began < 25  # Sooner than the deadline ends it.
