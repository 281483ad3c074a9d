"""What a server process shares among its requests: the ledger, its tokens, threads, and limits."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from random import getrandbits
from typing import Final, TypeVar

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.names import parse_trace_parent
from jobledger.infra.access.tokens import Caller, Tokens
from jobledger.infra.errors import OverloadedError
from jobledger.infra.ledger import Ledger
from jobledger.infra.serving.turns import take_turn

Result = TypeVar("Result")
BEARER: Final = "bearer "
READERS_STAY: Final = 1.0
"""Seconds after a read in which more are expected."""


@dataclass(frozen=True)
class Limits:
    """What a server takes on before it refuses; times in seconds, sizes in bytes."""

    max_body: int = 4 * 1024 * 1024
    max_waiting: int = 256
    """Requests that are in work or wait for a thread."""
    max_streams: int = 64
    """Followers of the feed, which wait without a thread."""
    deadline: float = 30.0
    writers: int = 24
    """Writes under way at once, which commit together: more wait."""
    writers_beside_readers: int = 1
    """The same while somebody reads, so that readers find a gap between them."""
    threads: int = 8
    """For what takes the processor longer than a moment."""


class Served:
    """One process's share of a ledger; `close` it when no request is left."""

    def __init__(self, ledger: Ledger, limits: Limits | None = None) -> None:
        self.ledger = ledger
        self.limits = Limits() if limits is None else limits
        self.tokens = Tokens(ledger.pool)
        self.stopping = asyncio.Event()
        """Set when the server is asked to stop: what is in work is finished, nothing new is begun."""
        self.waiting = 0
        self.streams = 0
        self._writers = Writers(self.limits)
        self._threads = ThreadPoolExecutor(self.limits.threads, "jobledger-request")

    async def read(self, work: Callable[[], Result]) -> Result:
        """Does it on the loop's thread, which does other things while it waits."""
        self._writers.make_way()
        return await take_turn(work)

    async def write(self, work: Callable[[], Result]) -> Result:
        """The same, with so many others at once as the limits say."""
        async with self._writers:
            return await take_turn(work)

    async def at_length(self, work: Callable[[], Result]) -> Result:
        """Does it in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def admit(self, authorization: str) -> Caller:
        """Who sends that Authorization header; raises UnauthenticatedError. May ask the database."""
        secret = authorization[len(BEARER) :].strip() if authorization[:7].lower() == BEARER else ""
        return self.tokens.admit(secret or None, datetime.now(UTC))

    def check_host(self, host: str) -> None:
        """Raises InvalidFieldError for one beyond loopback while nobody needs a token."""
        if not is_loopback(host) and not self.tokens.configured():
            raise InvalidFieldError(
                "host",
                f"{host} can be reached by others, and anybody could write;"
                " make a token first: jobledger token create NAME --role operator",
            )

    def enter(self) -> None:
        """Counts a request in; raises OverloadedError for one too many."""
        if self.stopping.is_set():
            raise OverloadedError("it is stopping")
        if self.waiting >= self.limits.max_waiting:
            raise OverloadedError(f"{self.waiting} requests are in work")
        self.waiting += 1

    def leave(self) -> None:
        """Counts it out."""
        self.waiting -= 1

    def close(self) -> None:
        """Waits for the threads' work."""
        self._threads.shutdown()


class Writers:
    """Lets writes in, one by one: many at once, and few while somebody reads."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._last_read = -READERS_STAY

    def make_way(self) -> None:
        """Somebody reads."""
        self._last_read = time.monotonic()

    async def __aenter__(self) -> None:
        while self._under_way >= self._most():
            gap = asyncio.get_running_loop().create_future()
            self._waiting.append(gap)
            try:
                await gap
            except asyncio.CancelledError:
                self._wake()  # Its gap is another's, if it had one already.
                raise
        self._under_way += 1

    async def __aexit__(self, *_: object) -> None:
        self._under_way -= 1
        self._wake()

    def _wake(self) -> None:
        gaps = self._most() - self._under_way
        while self._waiting and gaps > 0:
            gap = self._waiting.popleft()
            if not gap.done():  # Its caller may have given up.
                gap.set_result(None)
                gaps -= 1

    def _most(self) -> int:
        read = time.monotonic() - self._last_read < READERS_STAY
        return self._limits.writers_beside_readers if read else self._limits.writers


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def trace_of(header: str) -> tuple[str | None, str]:
    """The trace that a `traceparent` header names, and its id; or an id of our own for the log."""
    trace_parent = None
    with suppress(InvalidFieldError):  # W3C Trace Context: one that cannot be read counts as none.
        trace_parent = parse_trace_parent(header or None)
    return trace_parent, trace_parent.split("-")[1] if trace_parent else f"{getrandbits(128):032x}"
