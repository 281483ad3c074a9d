"""The way in, before any face: limits, deadlines, trace ids, the log, and errors as Status.

A body is read whole before a request is begun, so that a slow sender holds no thread.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import unquote

import orjson
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.errors import DeadlineExceededError
from jobledger.infra.google.wire.status import Status, status_of
from jobledger.infra.serving.context import ServerContext, trace_of
from jobledger.infra.serving.logs import RequestLog

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOG: Final = logging.getLogger("jobledger.http")
OVERRIDE: Final = b"x-http-method-override"
OVERRIDDEN: Final = frozenset({"GET", "PATCH", "DELETE", "PUT"})
STREAM: Final = "/ledger/v1/events:stream"
PROBES: Final = frozenset({"/healthz", "/readyz"})
SENT_AS: Final = {
    "as_of": "asOf",
    "occurred_time": "occurredTime",
    "order_by": "orderBy",
    "page_size": "pageSize",
    "page_token": "pageToken",
    "request_id": "requestId",
    "trace_parent": "traceParent",
}
HTTP_TOO_LARGE: Final = 413


class BodyTooLargeError(InvalidFieldError):
    """A body over the server's limit, in bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__("body", f"is larger than {limit} bytes")


class RequestMiddleware:
    """An ASGI application around another; one for the whole server."""

    def __init__(self, app: App, server: ServerContext) -> None:
        self._app = app
        self._server = server
        self._log = RequestLog(LOG.name) if LOG.isEnabledFor(logging.INFO) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        answer = _Answer(send)
        headers = dict(scope["headers"])
        state = scope["state"] = {"headers": headers, "actor": None}
        try:
            _trace(headers, state)
            await self._pass(scope, headers, receive, answer)
        except Exception as error:
            await answer.refuse(error, state["trace_id"])
        finally:
            self._log_request(scope, answer, time.monotonic() - began)

    def close(self) -> None:
        """Writes the last lines of the log."""
        if self._log is not None:
            self._log.flush()

    def _log_request(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        if self._log is None or scope["path"] in PROBES:
            return
        state = scope["state"]
        said = {
            "method": scope["method"],
            "path": unquote(scope["path"])[:512],
            "status": answer.status,
            "seconds": round(seconds, 6),
            "trace_id": state["trace_id"],
            "actor": state["actor"],
        }
        error = answer.error or state.get("error")
        if error is not None:
            said["error"] = str(error)[:512]
        self._log.write("INFO", said)

    async def _pass(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, answer: _Answer
    ) -> None:
        if scope["path"] in PROBES or scope["path"] == STREAM:
            await self._app(scope, receive, answer)
            return
        self._server.enter()
        try:
            with _Deadline(self._server.limits.deadline):
                # A GET's body says nothing, and is not waited for.
                bodiless = scope["method"] == "GET" and b"content-length" not in headers
                body = (
                    b"" if bodiless else await _read(headers, receive, self._server.limits.max_body)
                )
                _override(scope, headers, body)
                await self._app(scope, _once(scope, body, receive), answer)
        finally:
            self._server.leave()


class _Deadline:
    """What asyncio.timeout does, in a third of the time: every request comes through here."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._passed = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._timer = loop.call_later(self._seconds, self._pass, task)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        if self._passed and kind is asyncio.CancelledError:
            raise DeadlineExceededError(self._seconds) from None

    def _pass(self, task: asyncio.Task[Any]) -> None:
        self._passed = True
        task.cancel()


class _Answer:
    """Sends, and remembers what was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.error: BaseException | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def refuse(self, error: Exception, trace_id: str | None) -> None:
        """Answers with the error's Status, unless an answer was begun already."""
        self.error = error
        status = status_of(as_sent(error))
        if status.code.name == "INTERNAL":
            LOG.error("failed", exc_info=error, extra={"trace_id": trace_id})
        if self.status:
            return
        http = HTTP_TOO_LARGE if isinstance(error, BodyTooLargeError) else status.code.http
        await send_json(self, http, body_of(status, http), extra_headers(status))


def as_sent(error: Exception) -> Exception:
    """The error with its field's name as it is in JSON and queries."""
    if type(error) is InvalidFieldError and error.field in SENT_AS:
        return InvalidFieldError(SENT_AS[error.field], error.why)
    return error


def body_of(status: Status, http: int) -> dict[str, Any]:
    """The error's body; its code is that of the status line."""
    body = status.body()
    body["error"]["code"] = http
    return body


def extra_headers(status: Status) -> list[tuple[bytes, bytes]]:
    """What a client is to do about the error, where HTTP has a header for it."""
    if status.code.name == "UNAVAILABLE":
        return [(b"retry-after", b"1")]
    if status.code.name == "UNAUTHENTICATED":
        return [(b"www-authenticate", b"Bearer")]
    return []


def encode(value: Any) -> bytes:
    """JSON, however deep: an event may hold as many levels as orjson writes, and an answer adds some."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


async def send_json(
    send: Send, http: int, body: Any, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """One whole answer of JSON; bytes are sent as they are."""
    content = body if isinstance(body, bytes) else encode(body)
    start = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(content)).encode()),
        (b"x-content-type-options", b"nosniff"),
        *(headers or ()),
    ]
    await send({"type": "http.response.start", "status": http, "headers": start})
    await send({"type": "http.response.body", "body": content})


async def _read(headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
    said = headers.get(b"content-length", b"0")
    if said.isdigit() and int(said) > limit:
        raise BodyTooLargeError(limit)
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidFieldError("body", "ended before it was whole")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLargeError(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _once(scope: Scope, body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read already."""
    scope["state"]["body"] = body
    waiting = [body]

    async def give() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return give


def _override(scope: Scope, headers: dict[bytes, bytes], body: bytes) -> None:
    """X-HTTP-Method-Override: as a GET, a form in the body is the query that was too long for the path."""
    wanted = headers.get(OVERRIDE, b"").decode("latin-1").upper()
    if not wanted or scope["method"] != "POST":
        return
    if wanted not in OVERRIDDEN:
        raise InvalidFieldError("X-HTTP-Method-Override", f"{wanted[:40]!r} cannot be meant")
    scope["method"] = wanted
    form = headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded")
    if wanted == "GET" and form:
        scope["query_string"] = b"&".join(filter(None, (scope["query_string"], body)))


def _trace(headers: dict[bytes, bytes], state: dict[str, Any]) -> None:
    """The caller's trace, or one of our own for the log."""
    header = headers.get(b"traceparent", b"").decode("latin-1")
    state["trace_parent"], state["trace_id"] = trace_of(header)
