"""HTTP/1.1 for our servers: uvicorn's httptools protocol, with limits for incomplete requests."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import orjson
from jobledger.infra.serving.connections import SWEEP_SECONDS, Connections
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD: Final = 64 * 1024
"""The most bytes of a request outside its body: its head, and the framing of chunks."""
FRAMING: Final = 8
"""The most bytes of framing for each byte of a body."""
WHOLE: Final = "whole"
"""A key of a request's state, which is set when the whole request was received."""
GUARD_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
)  # fmt: skip
"""Headers of answers without a policy of their own: browsers must not run or frame them."""
_RAW_GUARDS: Final = b"".join(name + b": " + value + b"\r\n" for name, value in GUARD_HEADERS)


def limited_protocol() -> Callable[..., asyncio.Protocol]:
    """Makes the protocol class for uvicorn."""
    return partial(LimitedProtocol, _Swept())


class _Swept:
    """The connections of a server, which are checked regularly as long as there are any."""

    def __init__(self) -> None:
        self._connections: Connections | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> Connections:
        if self._connections is None:
            self._connections = Connections(loop.time)
        if self._timer is None:
            self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop)
        return self._connections

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._connections is not None
        self._connections.sweep()
        again = len(self._connections) > 0
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if again else None


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, swept: _Swept, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._swept = swept
        self.waits_since: float | None = None
        self._received = 0
        """Bytes of the request that is coming, but for its body."""
        self._whole = 0
        """Requests that have come whole and are not answered; -1 if one was answered before."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Registers the connection, so that it can be closed when idle."""
        super().connection_made(transport)
        self._open = self._swept.begin(self.loop)
        self._open.open(self, self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        """Removes the connection, and ends a waiting request, as its client has disconnected."""
        self._open.close(self)
        super().connection_lost(exc)
        if self.cycle is not None and not self.cycle.response_complete:
            gone = self.cycle.scope["state"].get("gone")
            if gone is not None:
                gone()

    def data_received(self, data: bytes) -> None:
        """Reads bytes; refuses a head that is too large."""
        if self.parser is None:  # The connection was closed meanwhile.
            return
        self._received += len(data)
        super().data_received(data)
        if self._received > MAX_HEAD:
            self._refuse()

    def on_body(self, body: bytes) -> None:
        """Does not count the bytes of the body as bytes of the head."""
        self._received -= len(body) * (1 + FRAMING)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Records that the request was received completely."""
        self._received = 0
        self._whole += 1
        if self._whole > 0:
            self.waits_since = None
        self.scope["state"][WHOLE] = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Records that the server waits for the client again; reads the next request."""
        self._whole -= 1
        if self._whole <= 0:
            self.waits_since = self.loop.time()
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        # Does the same as uvicorn without a timer for each answer: `_Swept` closes idle connections.
        self.server_state.total_requests += 1
        self.flow.resume_reading()

    @property
    def in_body(self) -> bool:
        """Whether the head of a request was received, and the request is not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def abort(self) -> None:
        """Closes the connection at once."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answers a request that cannot be parsed."""
        self._answer(b"400 Bad Request", msg)

    def _refuse(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self._answer(
                b"431 Request Header Fields Too Large", f"The head is over {MAX_HEAD} bytes."
            )
        else:
            self.transport.abort()

    def _answer(self, status: bytes, sentence: str) -> None:
        code = int(status[:3])
        error = {"code": code, "message": sentence, "status": "INVALID_ARGUMENT", "details": []}
        content = orjson.dumps({"error": error})
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json; charset=utf-8\r\n"
            b"content-length: " + str(len(content)).encode() + b"\r\n" + _RAW_GUARDS
            + b"connection: close\r\n\r\n" + content
        )  # fmt: skip
        self.transport.close()
