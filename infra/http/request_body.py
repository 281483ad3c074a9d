"""Reads each body completely before its request starts, so that a slow sender takes no thread and no share."""

import zlib
from collections.abc import Mapping
from typing import Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.http.origin import check_content_type
from jobledger.infra.http.protocol import WHOLE
from jobledger.infra.http.types import Message, Receive, Scope
from jobledger.infra.serving.context import ServerContext

MAX_FORM: Final = 8 * 1024
"""The most bytes of the form that begins a session, which anybody may send."""
SESSION: Final = ("/session", "/session:end")
ENCODING: Final = b"content-encoding"
GZIP: Final = 16 + zlib.MAX_WBITS
"""zlib's window bits for reading gzip."""
OVERRIDE: Final = b"x-http-method-override"
OVERRIDDEN: Final = frozenset({"GET", "PATCH", "DELETE", "PUT"})
JSON: Final = b"application/json"
FORM: Final = b"application/x-www-form-urlencoded"


class BodyTooLargeError(InvalidFieldError):
    """A body over the server's limit, in bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__("body", f"is larger than {limit} bytes")


async def read_body(
    server: ServerContext, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive
) -> bytes:
    """Reads the whole body. It waits only for known callers, and for forms that begin a session.

    Args:
        server: The server's limits and callers.
        scope: The request.
        headers: Its headers, in lower case.
        receive: Receives the body.

    Returns:
        The body, decompressed.

    Raises:
        BodyTooLargeError: The body is larger than the server accepts.
        InvalidFieldError: The body ends early, or is compressed in a way that is not accepted.
    """
    limit = MAX_FORM if scope["path"] in SESSION else server.limits.max_body
    length_header = headers.get(b"content-length", b"0")
    if length_header.isdigit() and int(length_header) > limit:
        raise BodyTooLargeError(limit)
    if not scope["state"][WHOLE] and scope["path"] not in SESSION:
        await server.admit(headers.get(b"authorization", b"").decode("latin-1"))
    message = await receive()
    _check(message, limit, limit)
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        body = await _rest(server, headers, receive, body, limit)
    return decompressed(body, headers.get(ENCODING, b""), limit)


def decompressed(body: bytes, encoding: bytes, limit: int) -> bytes:
    """Returns the body that was sent with a Content-Encoding.

    Args:
        body: The body as sent.
        encoding: The Content-Encoding; b"" for none.
        limit: The largest body to accept, in bytes.

    Returns:
        The decompressed body.

    Raises:
        InvalidFieldError: The encoding is not gzip, or the gzip is cut off, broken, or not the whole body.
        BodyTooLargeError: The decompressed body is larger than the limit.
    """
    if encoding.lower() in (b"", b"identity"):
        return body
    if encoding.lower() not in (b"gzip", b"x-gzip"):
        raise InvalidFieldError(
            "Content-Encoding", f"{encoding.decode('latin-1')!r:.80} is not supported; use gzip"
        )
    unpacking = zlib.decompressobj(wbits=GZIP)
    try:
        whole = unpacking.decompress(body, limit + 1)
    except zlib.error:
        raise InvalidFieldError(
            "body", "is not gzip, and Content-Encoding: gzip was given"
        ) from None
    if len(whole) > limit:
        raise BodyTooLargeError(limit)
    if not unpacking.eof:
        raise InvalidFieldError("body", "is gzip that ends early; send all of it")
    if unpacking.unused_data:
        raise InvalidFieldError("body", "has more after the end of its gzip; send one gzip member")
    return whole


async def _rest(
    server: ServerContext,
    headers: Mapping[bytes, bytes],
    receive: Receive,
    first: bytes,
    limit: int,
) -> bytes:
    """Receives the rest of a body."""
    authorization = headers.get(b"authorization")
    chunks, size, more = [first], len(first), True
    server.bodies.take(authorization, size)
    try:
        while more:
            message = await receive()
            _check(message, limit - size, limit)
            chunk = message.get("body", b"")
            server.bodies.take(authorization, len(chunk))
            size += len(chunk)
            chunks.append(chunk)
            more = message.get("more_body", False)
    finally:
        server.bodies.give(authorization, size)
    return b"".join(chunks)


def _check(message: Message, room: int, limit: int) -> None:
    if message["type"] == "http.disconnect":
        raise InvalidFieldError("body", "ended before it was complete; send all of it")
    if len(message.get("body", b"")) > room:
        raise BodyTooLargeError(limit)


def accept_body(scope: Scope, headers: Mapping[bytes, bytes], body: bytes) -> None:
    """Checks the Content-Type of the body, and applies X-HTTP-Method-Override.

    With the method GET, a form in the body is a query that was too long for the path.

    Args:
        scope: The request; its method and query are changed.
        headers: Its headers, in lower case.
        body: Its body.

    Raises:
        InvalidFieldError: The method or the type is not accepted.
    """
    if headers.get(OVERRIDE) and scope["method"] == "POST":
        wanted = headers[OVERRIDE].decode("latin-1").upper()
        if wanted not in OVERRIDDEN:
            raise InvalidFieldError(
                "X-HTTP-Method-Override",
                f"{wanted[:40]!r} is not supported; a POST can be sent instead of a GET",
            )
        scope["method"] = wanted
        if wanted == "GET":
            if headers.get(b"content-type", b"").startswith(FORM):
                scope["query_string"] = b"&".join(filter(None, (scope["query_string"], body)))
            return
    if body and headers.get(b"content-type") != JSON and scope["path"] not in SESSION:
        check_content_type(headers)
