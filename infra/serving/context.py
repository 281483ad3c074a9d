"""The state of a server process: the ledger, its tokens, and limits."""

import asyncio
import ipaddress
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from random import getrandbits
from typing import Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.names import parse_trace_parent
from jobledger.infra.access.tokens import Caller, Tokens
from jobledger.infra.async_ledger import AsyncLedger
from jobledger.infra.errors import OverloadedError
from jobledger.infra.google.wire.queue import SharedQueue
from jobledger.infra.postgres.ending import CANCEL_SECONDS, GRACE_SECONDS
from jobledger.infra.read.fair_threads import ASKED_BY
from jobledger.infra.serving.shares import Shares
from jobledger.infra.settings import Settings, spool_folder
from jobledger.infra.sources.openlineage.forwarder import Forwarder

BEARER: Final = "bearer "
STRANGER: Final = "\x00"
"""The share of reads that identify callers; no token has that name."""
BODIES: Final = 16
"""How many bodies of the greatest size may be received at once; of smaller ones, more."""
MORE_READS_SECONDS: Final = 1.0
"""After a read, more reads are expected for this time."""


@dataclass(frozen=True)
class Limits:
    """Limits of a server; times in seconds, sizes in bytes."""

    max_body: int = 4 * 1024 * 1024
    max_waiting: int = 256
    """The most reads at the same time, and the most writes; further ones are refused."""
    max_streams: int = 64
    """The most followers of the feed, which wait without a thread."""
    deadline: float = 30.0
    grace: float = GRACE_SECONDS
    """How long running requests may wait for the database after the server was asked to stop."""
    writers: int = 24
    """The most writes at the same time, which commit together; further ones wait."""
    writers_with_readers: int = 1
    """The same while reads are waiting, so that they are not delayed."""
    threads: int = 8
    """Threads for blocking calls."""
    hosts: tuple[str, ...] = ()
    """Host names that a server without tokens accepts, besides loopback's."""

    @property
    def answers_within(self) -> float:
        """Returns how many seconds a stopping server takes at most to answer everything."""
        return self.grace + CANCEL_SECONDS + 1.0


class ServerContext:
    """One server process."""

    def __init__(self, ledger: AsyncLedger, limits: Limits | None = None) -> None:
        self.ledger = ledger
        self.limits = Limits() if limits is None else limits
        self.tokens = Tokens(ledger.ledger.pool)
        self.queue = SharedQueue(ledger)
        self.stopping = asyncio.Event()
        """Set when the server is asked to stop: running requests finish, and new ones are refused."""
        self.reads = Shares(self.limits.max_waiting, "{} requests are in work")
        self.writes = Shares(self.limits.max_waiting, "{} requests are in work")
        """Apart from reads: writes that wait for the database take no places from them."""
        self.streams = Shares(self.limits.max_streams, "{} follow the feed already")
        self.bodies = Shares(BODIES * self.limits.max_body, "{} bytes of bodies are on their way")
        self.writers = Writers(self.limits)
        settings = Settings()
        url, key = settings.lineage_forward_url, settings.lineage_forward_key
        folder = spool_folder() / "lineage"
        self.forwarder = Forwarder(url, key, folder=folder) if url else None
        """Sends OpenLineage events on to another server, if one is set."""
        self.project = settings.project
        """The project of OpenLineage events that name none."""

    async def admit(self, authorization: str) -> Caller:
        """Returns the caller of an Authorization header; raises UnauthenticatedError."""
        secret = authorization[len(BEARER) :].strip() if authorization[:7].lower() == BEARER else ""
        now = datetime.now(UTC)
        if self.tokens.is_cached(secret):
            caller = self.tokens.admit(secret or None, now)
        else:
            ASKED_BY.set(STRANGER)
            caller = await self.ledger.run(partial(self.tokens.admit, secret or None, now))
        ASKED_BY.set(caller.name or "")
        return caller

    async def is_open(self) -> bool:
        """Whether requests need no token."""
        if self.tokens.is_cached(""):
            return self.tokens.is_open()
        return await self.ledger.run(self.tokens.is_open)

    def check_host(self, host: str) -> None:
        """Raises InvalidFieldError for an address beyond loopback while requests need no token."""
        if not is_loopback(host) and not self.tokens.configured():
            raise InvalidFieldError(
                "host",
                f"{host} can be reached by others, and anybody could write;"
                " make a token first: jobledger token create NAME --role operator",
            )

    def check_stopping(self) -> None:
        """Raises OverloadedError if the server is stopping."""
        if self.stopping.is_set():
            raise OverloadedError("the server is stopping")


class Writers:
    """Limits simultaneous writes: to many, or to few while reads are waiting."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._last_read = -MORE_READS_SECONDS

    def make_way(self) -> None:
        """Makes writes give way to a read."""
        self._last_read = time.monotonic()

    async def __aenter__(self) -> None:
        while self._under_way >= self._most():
            gap = asyncio.get_running_loop().create_future()
            self._waiting.append(gap)
            try:
                await gap
            except asyncio.CancelledError:
                self._wake()  # If it had its turn already, the next one gets it.
                raise
        self._under_way += 1

    async def __aexit__(self, *_: object) -> None:
        self._under_way -= 1
        self._wake()

    def _wake(self) -> None:
        gaps = self._most() - self._under_way
        while self._waiting and gaps > 0:
            gap = self._waiting.popleft()
            if not gap.done():  # The caller may have been cancelled.
                gap.set_result(None)
                gaps -= 1

    def _most(self) -> int:
        read = time.monotonic() - self._last_read < MORE_READS_SECONDS
        return self._limits.writers_with_readers if read else self._limits.writers


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def trace_of(header: str) -> tuple[str | None, str]:
    """Returns the trace that a `traceparent` header names, and its id; or a new id for the log."""
    try:
        trace_parent = parse_trace_parent(header) if header else None
    except InvalidFieldError:  # W3C Trace Context: an invalid header is treated as absent.
        trace_parent = None
    return trace_parent, trace_parent.split("-")[1] if trace_parent else f"{getrandbits(128):032x}"
