"""The feed over HTTP: server-sent events from a position on, resumed with Last-Event-ID."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from jobledger.domain.errors import BeyondEndError, InvalidFieldError, LedgerError
from jobledger.domain.values.names import parse_name
from jobledger.infra.access.required import READ
from jobledger.infra.access.tokens import Caller
from jobledger.infra.eventstore.feed import LAST_VERSION, Cursor
from jobledger.infra.eventstore.json_view import encode, event_json
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.google.wire.status import status_of
from jobledger.infra.http.native.routes import NativeRoutes, Position
from jobledger.infra.serving.context import ServerContext

LOOK_SECONDS: Final = 0.05
"""Between two looks for new events, made for all followers together."""
KEEPALIVE_SECONDS: Final = 15.0
PAGE_EVENTS: Final = 500
ESCAPED: Final = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}
RECONNECT_MILLISECONDS: Final = 1_000
"""Milliseconds after which a client reconnects when its stream ended."""


class Tail:
    """Knows the last position; polls only while a client waits."""

    def __init__(self, server: ServerContext) -> None:
        self._server = server
        self._size = 0
        self._grown = asyncio.Condition()
        self._looking: asyncio.Task[None] | None = None
        self._waiting = 0

    async def beyond(self, position: int) -> None:
        """Returns once there are events after that position, or the server stops; raises LedgerError."""
        self._waiting += 1
        try:
            async with self._grown:
                if self._looking is None or self._looking.done():
                    self._looking = asyncio.create_task(self._look())
                await self._grown.wait_for(
                    lambda: self._size > position or self._server.stopping.is_set()
                )
        finally:
            self._waiting -= 1

    async def _look(self) -> None:
        while self._waiting and not self._server.stopping.is_set():
            # A server that is away now may be back at the next look.
            with suppress(LedgerError):
                self._size = await self._server.ledger.size()
            async with self._grown:
                self._grown.notify_all()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._server.stopping.wait(), LOOK_SECONDS)
        async with self._grown:
            self._grown.notify_all()


def stream_routes(routes: NativeRoutes) -> APIRouter:
    """The route of followers."""
    router = APIRouter(prefix="/ledger/v1", tags=["reading"])
    tail = Tail(routes.server)

    @router.get(
        "/events:stream", response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    async def stream(
        request: Request,
        after: Position = 0,
        name: Annotated[str, Query(description="Only that job's events.")] = "",
        last_event_id: Annotated[str | None, Header(description="Wins over `after`.")] = None,
    ) -> StreamingResponse:
        """Streams events as they are recorded, each exactly once: `id` is the position, `event` the type.

        `after` is a position; with `name` it is a version of that job, and 0 is before its first event.
        An event `pruned`, without an id, has ranges of positions whose events were pruned. An event `lost`,
        without an id, has an error: the ledger lost the event that was sent last, and the stream ends.
        """
        server = routes.server
        of = parse_name(name) if name else None
        caller = await routes.admit(request, READ, of)
        position = await _start(routes, of, after, last_event_id)
        server.check_stopping()
        follower = request.headers.get("authorization", "").encode("latin-1") or None
        server.streams.check(follower)
        return StreamingResponse(
            _events(routes, request, tail, Wanted(caller, of), position, follower),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    return router


async def _start(
    routes: NativeRoutes, of: str | None, after: int, last_event_id: str | None
) -> int:
    """The position after which a stream begins; raises BeyondEndError if the ledger is not there yet."""
    if last_event_id:
        position = _position(last_event_id)
        await routes.ledger.check_reached(position, "Last-Event-ID")
        return position
    if of is not None:
        return await routes.ledger.run(partial(position_after, routes, of, after))
    await routes.ledger.check_reached(after, "after")
    return after


def position_after(routes: NativeRoutes, name: str, version: int) -> int:
    """The position from which on a job's events after that version are; raises BeyondEndError."""
    feed = routes.reader.feed
    following, _ = feed.history_page(name, min(version, LAST_VERSION), 1)
    if following:
        return following[0].position - 1
    size = feed.size()
    last = feed.history_page(name, max(0, min(version, LAST_VERSION) - 1), 1)[0]
    if version and not last:
        job = routes.reader.read_current(name)
        raise BeyondEndError("after", version, 0 if job is None else job.version)
    # Events written since the first read are after that version, too.
    return last[0].position if last else size


class Wanted(NamedTuple):
    """The caller and the job that they follow; None is every job that they may see."""

    caller: Caller
    name: str | None

    def has(self, event: RecordedEvent) -> bool:
        """Whether the event matches the client's request."""
        return self.name in (None, event.name) and self.caller.sees(event.name)


async def _events(
    routes: NativeRoutes,
    request: Request,
    tail: Tail,
    wanted: Wanted,
    position: int,
    follower: bytes | None,
) -> AsyncIterator[bytes]:
    server, ledger = routes.server, routes.ledger
    cursor = Cursor(routes.reader.feed, position)
    server.streams.take(follower)
    try:
        # Lines of the first event: a block of its own would be an empty event to some readers.
        yield f"retry: {RECONNECT_MILLISECONDS}\n".encode()
        while not server.stopping.is_set():
            # A token that was revoked in the meantime ends the stream.
            await routes.admit(request, READ)
            page = await ledger.run(partial(cursor.events, PAGE_EVENTS))
            if page:
                after, position = position, cursor.position
                if position - after > len(page):
                    pruned = await ledger.pruned(after, position)
                    yield format_sse_event(event="pruned", data_str=_one_line(pruned))
                seen = [await ledger.decrypted(event) for event in page if wanted.has(event)]
                yield b"".join(map(_shown, seen))
            try:
                await asyncio.wait_for(tail.beyond(position), KEEPALIVE_SECONDS)
            except TimeoutError:
                yield b": still here\n"
    except BeyondEndError as error:
        # Another event may have its position by the time the client connects again.
        yield format_sse_event(event="lost", data_str=_one_line(status_of(error).body()))
    except LedgerError:
        return  # The client connects again from where it was, and gets the error.
    finally:
        server.streams.give(follower)


def _shown(event: RecordedEvent) -> bytes:
    data = _one_line(event_json(event))
    return format_sse_event(id=str(event.position), event=event.type, data_str=data)


def _one_line(value: Any) -> str:
    """JSON without characters that end a line in Unicode: some readers split there, too."""
    return encode(value).decode().translate(ESCAPED)


def _position(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise InvalidFieldError("Last-Event-ID", f"{text[:40]!r} is not a position, such as 4711")
    return int(text)
