"""The feed over HTTP: server-sent events from a position on, resumed with Last-Event-ID."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from jobledger.domain.errors import InvalidFieldError, LedgerError
from jobledger.domain.names import parse_name
from jobledger.infra.access.tokens import Caller, Role
from jobledger.infra.errors import OverloadedError
from jobledger.infra.eventstore.json_view import event_json
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.http.middleware import encode
from jobledger.infra.http.native.routes import Asking, Position
from jobledger.infra.serving.context import Served

PAUSE: Final = 0.05
"""Seconds between two looks for new events, made for all followers together."""
KEEPALIVE: Final = 15.0
PAGE: Final = 500
RECONNECT: Final = 1_000
"""Milliseconds after which a client whose stream ended comes again."""


class Tail:
    """Knows how far the ledger is; looks only while somebody waits."""

    def __init__(self, served: Served) -> None:
        self._served = served
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
                    lambda: self._size > position or self._served.stopping.is_set()
                )
        finally:
            self._waiting -= 1

    async def _look(self) -> None:
        while self._waiting and not self._served.stopping.is_set():
            # A server that is away now may be back at the next look.
            with suppress(LedgerError):
                self._size = await self._served.read(self._served.ledger.size)
            async with self._grown:
                self._grown.notify_all()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._served.stopping.wait(), PAUSE)
        async with self._grown:
            self._grown.notify_all()


def streaming(asking: Asking) -> APIRouter:
    """The route of followers."""
    router = APIRouter(prefix="/ledger/v1", tags=["reading"])
    tail = Tail(asking.served)

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
        """Events as they are recorded, none missing and none twice: `id` is the position, `event` the type."""
        served = asking.served
        position = after if not last_event_id else _position(last_event_id)
        of = parse_name(name) if name else None
        caller = await served.read(lambda: asking.admit(request, Role.READER, of))
        if served.stopping.is_set() or served.streams >= served.limits.max_streams:
            raise OverloadedError(f"{served.streams} follow the feed already, or it is stopping")
        return StreamingResponse(
            _events(asking, request, tail, Wanted(caller, of), position),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    return router


class Wanted(NamedTuple):
    """Who follows, and the job they follow; None is all they may see."""

    caller: Caller
    name: str | None

    def has(self, event: RecordedEvent) -> bool:
        """Whether they are told of it."""
        return self.name in (None, event.name) and self.caller.sees(event.name)


async def _events(
    asking: Asking, request: Request, tail: Tail, wanted: Wanted, position: int
) -> AsyncIterator[bytes]:
    served = asking.served
    served.streams += 1
    try:
        yield format_sse_event(retry=RECONNECT)
        while not served.stopping.is_set():
            try:
                await asyncio.wait_for(tail.beyond(position), KEEPALIVE)
            except TimeoutError:
                yield format_sse_event(comment="still here")
            # A token that was revoked meanwhile ends the stream.
            await served.read(lambda: asking.admit(request, Role.READER))
            page = await served.read(partial(_page, served, position))
            if page:
                position = page[-1].position
                yield await served.read(partial(_shown_to, served, wanted, page))
    except LedgerError:
        return  # The client comes again where it was, and is told what is wrong.
    finally:
        served.streams -= 1


def _page(served: Served, after: int) -> list[RecordedEvent]:
    return list(islice(served.ledger.events(after, follow=False), PAGE))


def _shown_to(served: Served, wanted: Wanted, page: list[RecordedEvent]) -> bytes:
    opened = served.ledger.opened
    return b"".join(_shown(opened(event)) for event in page if wanted.has(event))


def _shown(event: RecordedEvent) -> bytes:
    data = encode(event_json(event)).decode()
    return format_sse_event(id=str(event.position), event=event.type, data_str=data)


def _position(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise InvalidFieldError("Last-Event-ID", f"{text[:40]!r} is no position")
    return int(text)
