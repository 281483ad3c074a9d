"""What happens to every request: checks of its origin, limits, traces, the log, errors as Status."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.errors import ForeignRequestError
from jobledger.infra.eventstore.json_view import encode
from jobledger.infra.google.wire.status import Status, status_of
from jobledger.infra.http.deadlines import Deadline, Deadlines
from jobledger.infra.http.origin import Hosts, check_site
from jobledger.infra.http.protocol import GUARD_HEADERS, WHOLE
from jobledger.infra.http.request_body import SESSION, BodyTooLargeError, accept_body, read_body
from jobledger.infra.http.types import App, Message, Receive, Scope, Send
from jobledger.infra.serving.context import ServerContext, trace_of
from jobledger.infra.serving.logs import RequestLog

LOG: Final = logging.getLogger("jobledger.http")
STREAM: Final = "/ledger/v1/events:stream"
NO_STATE: Final[dict[str, Any]] = {}
CHALLENGE: Final = b'Bearer realm="jobledger"'
"""The WWW-Authenticate header for a client without a token (RFC 6750); httplib2 needs a realm."""
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


class RequestMiddleware:
    """An ASGI application that wraps another one; a server has one."""

    def __init__(self, app: App, server: ServerContext) -> None:
        self._app = app
        self._server = server
        self._hosts = Hosts(server.limits.hosts)
        self._deadlines = Deadlines(server.limits.deadline)
        self._log = RequestLog(LOG.name) if LOG.isEnabledFor(logging.INFO) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        answer = _Answer(send)
        headers = dict(scope["headers"])
        whole = scope.get("state", NO_STATE).get(WHOLE, False)
        state = scope["state"] = {"headers": headers, "actor": None, WHOLE: whole}
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
        fields = {
            "method": scope["method"],
            "path": unquote(scope["path"])[:512],
            "status": answer.status,
            "seconds": round(seconds, 6),
            "trace_id": state["trace_id"],
            "actor": state["actor"],
        }
        error = answer.error or state.get("error")
        if error is not None:
            fields["error"] = str(error)[:512]
        self._log.write("INFO", fields)

    async def _pass(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, answer: _Answer
    ) -> None:
        if scope["path"] in PROBES:
            await self._app(scope, receive, answer)
            return
        server, method = self._server, scope["method"]
        if not self._hosts.has(headers.get(b"host")) and await server.is_open():
            host = headers[b"host"].decode("latin-1")
            raise ForeignRequestError("Host", host, "localhost, or a name given by --allow-host")
        if method != "GET":
            check_site(method, headers, self._hosts)
        server.check_stopping()
        if scope["path"] == STREAM:
            await self._app(scope, receive, answer)
            return
        if method == "HEAD":
            # The answer is that of GET (RFC 9110, section 9.3.2); the server sends no body for HEAD.
            scope, method = {**scope, "method": "GET"}, "GET"
        with Deadline(self._deadlines) as deadline:
            body = b""
            # The body of a GET is ignored and not awaited.
            if method != "GET" or b"content-length" in headers:
                body = await self._accepted_body(scope, headers, receive)
            if method == "GET":
                scope["state"]["gone"] = deadline.abandon
            caller = headers.get(b"authorization")
            places = server.reads if method == "GET" else server.writes
            places.take(caller)
            try:
                await self._app(scope, _once(scope, body, receive), answer)
            finally:
                places.give(caller)

    async def _accepted_body(
        self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive
    ) -> bytes:
        """Reads the body; an unknown caller is refused before errors in the body are reported."""
        try:
            body = await read_body(self._server, scope, headers, receive)
            accept_body(scope, headers, body)
        except BodyTooLargeError:
            raise
        except InvalidFieldError:
            if scope["path"] not in SESSION:
                await self._server.admit(headers.get(b"authorization", b"").decode("latin-1"))
            raise
        return body


class _Answer:
    """Sends an answer, and records its status and size."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.error: BaseException | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if "guarded" not in message:
                message["headers"] = guarded(message["headers"])
        await self._send(message)

    async def refuse(self, error: Exception, trace_id: str | None) -> None:
        """Answers with the error's Status, unless an answer was started already."""
        self.error = error
        status = status_of(as_sent(error))
        if status.code.name == "INTERNAL":
            LOG.error("failed", exc_info=error, extra={"trace_id": trace_id})
        if self.status:
            return
        http = HTTP_TOO_LARGE if isinstance(error, BodyTooLargeError) else status.code.http
        await send_json(self, http, body_of(status, http), extra_headers(status))


def guarded(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Returns an answer's headers, with the missing ones of GUARD_HEADERS added."""
    given = [*headers]
    names = [name for name, _ in given]
    return given + [guard for guard in GUARD_HEADERS if guard[0] not in names]


def as_sent(error: Exception) -> Exception:
    """Returns the error with its field's name in the form of JSON and queries."""
    if type(error) is InvalidFieldError and error.field in SENT_AS:
        return InvalidFieldError(SENT_AS[error.field], error.why)
    return error


def body_of(status: Status, http: int) -> dict[str, Any]:
    """Returns the error's body; its code is that of the status line."""
    body = status.body()
    body["error"]["code"] = http
    return body


def extra_headers(status: Status) -> list[tuple[bytes, bytes]]:
    """Returns headers for the client's reaction to an error, such as Retry-After."""
    if status.code.name == "UNAVAILABLE":
        return [(b"retry-after", b"1")]
    if status.code.name == "UNAUTHENTICATED":
        return [(b"www-authenticate", CHALLENGE)]
    return []


async def send_json(
    send: Send, http: int, body: Any, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Sends a complete JSON answer; bytes are sent unchanged."""
    content = body if isinstance(body, bytes) else encode(body)
    start = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(content)).encode()),
        *GUARD_HEADERS,
        *(headers or ()),
    ]
    await send({"type": "http.response.start", "status": http, "headers": start, "guarded": True})
    await send({"type": "http.response.body", "body": content})


def _once(scope: Scope, body: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that first gives the body that was read already."""
    scope["state"]["body"] = body
    waiting = [body]

    async def give() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return give


def _trace(headers: dict[bytes, bytes], state: dict[str, Any]) -> None:
    """Stores the caller's trace, or a new one for the log."""
    header = headers.get(b"traceparent")
    text = "" if header is None else header.decode("latin-1")
    state["trace_parent"], state["trace_id"] = trace_of(text)
