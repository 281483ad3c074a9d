"""The base of all pages: checks the caller, reads in a thread, and answers with HTML, also for errors."""

import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple

from jobledger.domain.values.filters import Filter
from jobledger.infra.access.required import READ, REQUIRED
from jobledger.infra.access.tokens import Caller, check
from jobledger.infra.errors import PermissionDeniedError, UnauthenticatedError
from jobledger.infra.eventstore.json_view import encode
from jobledger.infra.google.wire.status import status_of
from jobledger.infra.http.middleware import as_sent
from jobledger.infra.http.native.jobs import scoped
from jobledger.infra.http.native.routes import authorization_of
from jobledger.infra.serving.context import ServerContext
from jobledger.infra.web import assets
from jobledger.infra.web.rendering import render
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

POLICY: Final = (
    "default-src 'none'; script-src 'self' {map}; style-src 'self'; img-src 'self' data: blob:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PART: Final = "x-part"
"""A header of requests for a part of a page; errors are answered with one sentence."""

Work = Callable[[Caller, Request], Any]
GZIP_LEVEL: Final = 5
GZIP_FORMAT: Final = 31
"""zlib's window bits for writing gzip."""


class Begun(NamedTuple):
    """The top of a page, and a function that reads the rest."""

    top: dict[str, Any]
    """The template's values for the top."""
    read: Callable[[], dict[str, Any]]
    """Reads the template's other values."""
    at_once: bool
    """Whether the top may be sent before the rest is read; an error of the rest is then shown below it."""


class PageRoutes:
    """Answers with pages and parts of them."""

    def __init__(self, server: ServerContext) -> None:
        self.server = server
        self.reader = server.ledger.ledger.reader
        self.headers = {
            "content-security-policy": POLICY.format(map=assets.import_map_hash()),
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "cache-control": "private, no-cache",
        }

    async def page(
        self, request: Request, template: str, work: Work, name: str | None = None
    ) -> Response:
        """Renders the template with the values that `work` reads; `name` is the page's job, None for many jobs."""
        caller = await self._admit(request, name)

        def asked() -> str:
            return self._render(template, work(caller, request), caller)

        return self._html(await self.server.ledger.run(asked))

    async def page_in_parts(
        self,
        request: Request,
        template: str,
        begin: Callable[[Caller, Request], Begun],
        name: str | None = None,
    ) -> Response:
        """Sends the template's top before its content is read, so that a browser loads styles and scripts meanwhile.

        Args:
            request: The request.
            template: The template; it is rendered for its `part` "top", and for "rest".
            begin: Reads what the top needs; its errors have their own status.
            name: The job that the page is about, None if of many.

        Returns:
            The answer.
        """
        caller = await self._admit(request, name)
        packer = _Packer("gzip" in request.headers.get("accept-encoding", ""))

        def first() -> tuple[Begun, bytes]:
            begun = begin(caller, request)
            if not begun.at_once:
                content = self._render(template, begun.top | begun.read(), caller)
                return begun, packer.packed(content, last=True)
            top = self._render(template, begun.top | {"part": "top"}, caller)
            return begun, packer.packed(top)

        begun, content = await self.server.ledger.run(first)
        headers = self.headers | packer.headers
        if not begun.at_once:
            return Response(content, 200, headers, "text/html")

        def second() -> bytes:
            values = begun.top | begun.read() | {"part": "rest"}
            return packer.packed(self._render(template, values, caller), last=True)

        async def parts() -> AsyncIterator[bytes]:
            yield content
            try:
                yield await self.server.ledger.run(second)
            except Exception as error:
                values = self._refusal(request, error)[1] | {"part": "rest"}
                yield packer.packed(self._render("refused.html", values, None), last=True)

        return StreamingResponse(parts(), 200, headers, "text/html")

    async def json(self, request: Request, work: Work, name: str | None = None) -> Response:
        """Returns the values that `work` reads as JSON, for a script."""
        caller = await self._admit(request, name)

        def asked() -> bytes:
            return self.reader.decrypt_json(encode(work(caller, request)))

        content = await self.server.ledger.run(asked)
        return Response(content, 200, self.headers, "application/json")

    async def file(self, request: Request, name: str, media_type: str, work: Work) -> Response:
        """Returns the text that `work` makes as a file to download."""
        caller = await self._admit(request)
        content = await self.server.ledger.run(lambda: work(caller, request))
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(content, 200, self.headers | headers, media_type)

    async def refuse(self, request: Request, error: Exception, back: str | None = None) -> Response:
        """Answers with a sentence about an error: on a page, or as text if a part of one was requested.

        Args:
            request: The request.
            error: The error.
            back: Where a token that is entered on the page leads to; None for this address.

        Returns:
            The answer.
        """
        status, values = self._refusal(request, error, back)
        if request.headers.get(PART):
            return Response(values["sentence"], status, self.headers, "text/plain")
        return self._html(self._render("refused.html", values, None), status)

    def _refusal(
        self, request: Request, error: Exception, back: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        heading, sentence, status = "This page cannot be shown", str(error), 404
        if isinstance(error, HTTPException):
            heading, sentence = "Page not found", f"There is no page {request.url.path}."
        else:
            request.state.error = error
            found = status_of(as_sent(error))
            sentence, status = found.message, found.code.http
        unknown = isinstance(error, UnauthenticatedError)
        return status, {
            "heading": "Sign in" if unknown else heading,
            "sentence": sentence,
            "is_first": unknown and back is None and not authorization_of(request),
            "ask_token": unknown or isinstance(error, PermissionDeniedError),
            "back": back or f"{request.url.path}?{request.url.query}".removesuffix("?"),
        }

    async def _admit(self, request: Request, name: str | None = None) -> Caller:
        caller = await self.server.admit(authorization_of(request))
        request.state.actor = caller.name
        check(caller, REQUIRED[READ], name)
        return caller

    def _render(self, template: str, values: dict[str, Any], caller: Caller | None) -> str:
        usual = {
            "page": "",
            "part": "",
            "ledger": self.reader.name,
            "import_map": assets.import_map(),
            "caller": None if caller is None else caller.name,
            "only": None if caller is None else caller.project,
        }
        return render(template, **usual | values)

    def _html(self, content: str, status: int = 200) -> Response:
        return Response(content, status, self.headers, "text/html")


class _Packer:
    """Compresses the parts of an answer, so that each can be read when it arrives."""

    def __init__(self, compresses: bool) -> None:
        self._stream = (
            zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_FORMAT) if compresses else None
        )
        encoded = {"content-encoding": "gzip", "vary": "accept-encoding"}
        self.headers = encoded if compresses else {}

    def packed(self, text: str, *, last: bool = False) -> bytes:
        content = text.encode()
        if self._stream is None:
            return content
        how = zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH
        return self._stream.compress(content) + self._stream.flush(how)


def scope_of(caller: Caller) -> Callable[[str], Filter]:
    """Limits a filter to the jobs that the caller may see."""
    return lambda text: scoped(text, caller)
