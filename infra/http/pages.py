"""The pages for people: `/` the fleet, `/jobs/NAME` a job, `/reports`, and the files they need.

They are read with a token as everything is; a browser keeps it in a cookie, which is for reading only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qs

from jobledger.domain.errors import LedgerError
from jobledger.infra.access import Caller, Role, check
from jobledger.infra.errors import PermissionDeniedError, UnauthenticatedError
from jobledger.infra.google.status import status_of
from jobledger.infra.http.asking import COOKIE, authorization_of
from jobledger.infra.http.gate import as_sent, encode
from jobledger.infra.http.reading import scoped
from jobledger.infra.http.served import Served
from jobledger.infra.past.series import steps
from jobledger.infra.shapes import time_text
from jobledger.infra.web import assets
from jobledger.infra.web.fleet import read_fleet, read_jobs, read_moment, read_series
from jobledger.infra.web.links import (
    COLUMNS,
    SHOWN,
    SIZES,
    STATES,
    FleetLink,
    check_ledger,
    job_address,
)
from jobledger.infra.web.offers import offers
from jobledger.infra.web.rendering import csv_text, render
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

PLACES: Final = ("/assets/", "/fleet", "/jobs/", "/reports", "/session")
POLICY: Final = (
    "default-src 'none'; script-src 'self' {map}; style-src 'self'; img-src 'self' data: blob:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FOREVER: Final = "public, max-age=31536000, immutable"
PART: Final = "x-part"
"""A request with this header wants a part of a page, and is refused in one sentence."""

Answer = Callable[[Request], Awaitable[Response]]


def serves(path: str) -> bool:
    """Whether it is the path of a page, or of a file that pages need."""
    return path == "/" or path.startswith(PLACES)


class Pages:
    """What the pages' routes share."""

    def __init__(self, served: Served) -> None:
        self.served = served
        policy = POLICY.format(map=assets.import_map_hash())
        self._headers = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "cache-control": "private, no-cache",
        }

    def app(self) -> Starlette:
        """An application of these routes."""
        routes = [
            Route("/", self.fleet),
            Route("/fleet/list", self.fleet_list),
            Route("/fleet/step", self.fleet_step),
            Route("/fleet/offers", self.fleet_offers),
            Route("/fleet.csv", self.fleet_csv),
            Route("/assets/{version}/{name}", asset),
            Route("/session", self.begin_session, methods=["POST"]),
            Route("/session:end", self.end_session, methods=["POST"]),
        ]
        handlers: Any = {
            LedgerError: self.refuse,
            HTTPException: self.refuse,
            Exception: self.refuse,
        }
        compressing = Middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
        return Starlette(routes=routes, exception_handlers=handlers, middleware=[compressing])

    async def fleet(self, request: Request) -> Response:
        """The fleet page."""
        return await self.page(request, "fleet.html", self._fleet)

    async def fleet_list(self, request: Request) -> Response:
        """The fleet page's list alone, as of another moment."""

        def work(caller: Caller, request: Request) -> dict[str, Any]:
            jobs = read_jobs(self.served.ledger, self._link(request), _scope(caller))
            return {"fleet": {"jobs": jobs}} | LISTED

        return await self.page(request, "fleet_list.html", work)

    async def fleet_step(self, request: Request) -> Response:
        """The moment of the event before (`by` -1) or after (1) the link's; `at` is null where there is none."""

        def work(_: Caller) -> dict[str, Any]:
            ledger = self.served.ledger
            moments = steps(ledger, read_moment(ledger, self._link(request)))
            found = moments.before if request.query_params.get("by") == "-1" else moments.after
            if found is None:
                return {"at": None}
            return {"at": str(found), "time": time_text(found.time)}

        return await self.json(request, work)

    async def fleet_offers(self, request: Request) -> Response:
        """What may follow in a filter at a caret."""

        def work(caller: Caller) -> list[Any]:
            text, caret = (
                request.query_params.get("filter", ""),
                request.query_params.get("caret", ""),
            )
            at = int(caret) if caret.isascii() and caret.isdigit() else len(text)
            return [offer.json() for offer in offers(self.served.ledger, text, at, caller.project)]

        return await self.json(request, work)

    async def fleet_csv(self, request: Request) -> Response:
        """The chart's numbers, all of them."""

        def work(caller: Caller) -> str:
            if caller.project is not None:
                raise PermissionDeniedError(caller.name, project=caller.project)
            counted, states = read_series(self.served.ledger, self._link(request))
            return csv_text(["time", *states], counted)

        content = await self.served.at_length(lambda: work(self.admit(request)))
        said = {"content-disposition": 'attachment; filename="states.csv"'}
        return Response(content, 200, self._headers | said, "text/csv")

    def _fleet(self, caller: Caller, request: Request) -> dict[str, Any]:
        everything = caller.project is None
        ledger, link = self.served.ledger, self._link(request)
        fleet = read_fleet(ledger, link, _scope(caller), everything=everything)
        shown = fleet.jobs.link.states

        def toggled(state: str) -> tuple[str, ...]:
            return tuple(s for s in STATES if (s in shown) != (s == state))

        return {
            "page": "fleet", "fleet": fleet, "everything": everything, "states": STATES,
            "usual_states": SHOWN, "toggled": toggled, **LISTED,
        }  # fmt: skip

    def _link(self, request: Request) -> FleetLink:
        link = FleetLink.parse(request.query_params)
        check_ledger(link.ledger, self.served.ledger.name)
        return link

    async def page(
        self, request: Request, template: str, work: Callable[[Caller, Request], dict[str, Any]]
    ) -> Response:
        """The template, with what `work` reads for whoever asks."""

        def asked() -> str:
            caller = self.admit(request)
            return self._render(template, work(caller, request), caller)

        return self._html(await self.served.at_length(asked))

    async def json(self, request: Request, work: Callable[[Caller], Any]) -> Response:
        """The same as JSON, for a script."""
        content = await self.served.at_length(lambda: encode(work(self.admit(request))))
        return Response(content, 200, self._headers, "application/json")

    def admit(self, request: Request, name: str | None = None) -> Caller:
        """Who asks; `name` is the job it is about. Raises UnauthenticatedError and PermissionDeniedError."""
        caller = self.served.admit(authorization_of(request))
        request.state.actor = caller.name
        check(caller, Role.READER, name)
        return caller

    def _render(self, template: str, said: dict[str, Any], caller: Caller | None) -> str:
        usual = {
            "page": "", "ledger": self.served.ledger.name, "import_map": assets.import_map(),
            "caller": caller.name if caller is not None else None,
        }  # fmt: skip
        return render(template, **usual | said)

    def _html(self, content: str, status: int = 200) -> Response:
        return Response(content, status, self._headers, "text/html")

    async def refuse(self, request: Request, error: Exception) -> Response:
        """What is wrong, in a sentence: on a page, or alone where a part of one was asked for."""
        if isinstance(error, HTTPException):
            heading, sentence, status = "There is no such page", request.url.path, error.status_code
        else:
            request.state.error = error
            found = status_of(as_sent(error))
            heading, sentence, status = "This cannot be shown", found.message, found.code.http
        if request.headers.get(PART):
            return Response(sentence, status, self._headers, "text/plain")
        stranger = isinstance(error, UnauthenticatedError | PermissionDeniedError)
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        said = {
            "heading": "Who asks?" if isinstance(error, UnauthenticatedError) else heading,
            "sentence": sentence, "ask_token": stranger, "back": back,
        }  # fmt: skip
        return self._html(self._render("refused.html", said, None), status)

    async def begin_session(self, request: Request) -> Response:
        """Keeps a token in a cookie that no script reads and no other site sends."""
        form = parse_qs((await request.body()).decode(errors="replace"))
        token, back = (form.get(key, [""])[0].strip() for key in ("token", "back"))
        await self.served.at_length(lambda: self.served.admit(f"Bearer {token}"))
        local = back.startswith("/") and not back.startswith(("//", "/\\"))
        answer = RedirectResponse(back if local else "/", 303, self._headers)
        answer.set_cookie(
            COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return answer

    async def end_session(self, _: Request) -> Response:
        """Forgets it."""
        answer = RedirectResponse("/", 303, self._headers)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer


LISTED: Final = {"all_columns": COLUMNS, "sizes": SIZES, "job_address": job_address}


def _scope(caller: Caller) -> Callable[[str], Any]:
    return lambda text: scoped(text, caller)


async def asset(request: Request) -> Response:
    """A file that pages need; at its content's own address it stays what it is."""
    found = assets.find(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    headers = {
        "cache-control": FOREVER
        if request.path_params["version"] == assets.version()
        else "no-cache",
        "x-content-type-options": "nosniff",
        "vary": "accept-encoding",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(found.compressed, 200, headers, found.media_type)
    return Response(found.content, 200, headers, found.media_type)
