"""The base of pages: admits the caller, reads in a thread, answers HTML, also for errors."""

from collections.abc import Callable
from typing import Any, Final

from jobledger.domain.values.filters import Filter
from jobledger.infra.access.required import READ, REQUIRED
from jobledger.infra.access.tokens import Caller, check
from jobledger.infra.errors import PermissionDeniedError, UnauthenticatedError
from jobledger.infra.google.wire.status import status_of
from jobledger.infra.http.middleware import as_sent, encode
from jobledger.infra.http.native.jobs import scoped
from jobledger.infra.http.native.routes import authorization_of
from jobledger.infra.serving.context import ServerContext
from jobledger.infra.web import assets
from jobledger.infra.web.rendering import render
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

POLICY: Final = (
    "default-src 'none'; script-src 'self' {map}; style-src 'self'; img-src 'self' data: blob:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PART: Final = "x-part"
"""A request with this header wants a part of a page, and is refused in one sentence."""

Work = Callable[[Caller, Request], Any]


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
        """The template, with what `work` reads; `name` is the job it is about, None if of many."""
        caller = await self._admit(request, name)

        def asked() -> str:
            return self._render(template, work(caller, request), caller)

        return self._html(await self.server.ledger.run(asked))

    async def json(self, request: Request, work: Work, name: str | None = None) -> Response:
        """The same as JSON, for a script."""
        caller = await self._admit(request, name)

        def asked() -> bytes:
            return self.reader.decrypt_json(encode(work(caller, request)))

        content = await self.server.ledger.run(asked)
        return Response(content, 200, self.headers, "application/json")

    async def file(self, request: Request, name: str, media_type: str, work: Work) -> Response:
        """The same as a file to keep."""
        caller = await self._admit(request)
        content = await self.server.ledger.run(lambda: work(caller, request))
        said = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(content, 200, self.headers | said, media_type)

    async def refuse(self, request: Request, error: Exception, back: str | None = None) -> Response:
        """Answers with a sentence about an error: on a page, or as text if a part of one was requested.

        Args:
            request: The request.
            error: The error.
            back: Where a token that is entered on the page leads to; None for this address.

        Returns:
            The answer.
        """
        heading, sentence, status = "This cannot be shown", str(error), 404
        if isinstance(error, HTTPException):
            heading, sentence = "There is no such page", request.url.path
        else:
            request.state.error = error
            found = status_of(as_sent(error))
            sentence, status = found.message, found.code.http
        if request.headers.get(PART):
            return Response(sentence, status, self.headers, "text/plain")
        unknown = isinstance(error, UnauthenticatedError)
        said = {
            "heading": "Who asks?" if unknown else heading,
            "sentence": sentence,
            "ask_token": unknown or isinstance(error, PermissionDeniedError),
            "back": back or f"{request.url.path}?{request.url.query}".removesuffix("?"),
        }
        return self._html(self._render("refused.html", said, None), status)

    async def _admit(self, request: Request, name: str | None = None) -> Caller:
        caller = await self.server.admit(authorization_of(request))
        request.state.actor = caller.name
        check(caller, REQUIRED[READ], name)
        return caller

    def _render(self, template: str, said: dict[str, Any], caller: Caller | None) -> str:
        usual = {
            "page": "",
            "ledger": self.reader.name,
            "import_map": assets.import_map(),
            "caller": None if caller is None else caller.name,
            "only": None if caller is None else caller.project,
        }
        return render(template, **usual | said)

    def _html(self, content: str, status: int = 200) -> Response:
        return Response(content, status, self.headers, "text/html")


def scope_of(caller: Caller) -> Callable[[str], Filter]:
    """Limits a filter to what the caller may see."""
    return lambda text: scoped(text, caller)
