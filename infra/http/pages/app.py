"""The web pages: `/` is the fleet, `/jobs/NAME` a job, `/reports` the reports; and their files.

Pages need a token as every request does. A browser keeps it in a cookie, which permits reading only.
"""

from typing import Any, Final
from urllib.parse import parse_qs

from jobledger.domain.errors import LedgerError
from jobledger.infra.errors import UnauthenticatedError
from jobledger.infra.http.native.routes import COOKIE
from jobledger.infra.http.pages.fleet import fleet_routes
from jobledger.infra.http.pages.job import job_routes
from jobledger.infra.http.pages.report import report_routes
from jobledger.infra.http.pages.routes import PageRoutes
from jobledger.infra.serving.context import ServerContext
from jobledger.infra.web import assets
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

PATHS: Final = ("/assets/", "/favicon.ico", "/fleet", "/jobs/", "/parts/", "/reports")
SESSION: Final = ("/session", "/session:end")
IMMUTABLE: Final = "public, max-age=31536000, immutable"


def serves(method: str, path: str) -> bool:
    """Whether the path belongs to a page or a file of pages; other paths are refused as API paths."""
    if method != "GET":
        return method == "POST" and path in SESSION
    return path == "/" or path.startswith(PATHS)


def pages(server: ServerContext) -> Starlette:
    """Returns an application with all page routes."""
    pages = PageRoutes(server)
    routes = [
        *fleet_routes(pages),
        *job_routes(pages),
        *report_routes(pages),
        *_session_routes(pages),
        Route("/assets/{version}/{name}", asset),
        Route("/favicon.ico", icon),
    ]
    handlers: Any = dict.fromkeys((LedgerError, HTTPException, Exception), pages.refuse)
    compressing = Middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
    return Starlette(routes=routes, exception_handlers=handlers, middleware=[compressing])


def _session_routes(pages: PageRoutes) -> list[Route]:
    async def begin(request: Request) -> Response:
        """Stores a token in a cookie that scripts cannot read and other sites cannot send."""
        form = parse_qs((await request.body()).decode(errors="replace"))
        token, back = (form.get(key, [""])[0].strip() for key in ("token", "back"))
        local = back.startswith("/") and not back.startswith(("//", "/\\"))
        try:
            await pages.server.admit(f"Bearer {token}")
        except UnauthenticatedError as error:
            # A later success leads to the page that was requested first.
            return await pages.refuse(request, error, back if local else "/")
        answer = RedirectResponse(back if local else "/", 303, pages.headers)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure)
        return answer

    async def end(_: Request) -> Response:
        """Deletes the cookie."""
        answer = RedirectResponse("/", 303, pages.headers)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return [
        Route(path, endpoint, methods=["POST"])
        for path, endpoint in zip(SESSION, (begin, end), strict=True)
    ]


async def icon(_: Request) -> Response:
    """Returns the icon, which browsers also request for pages that name none."""
    found = assets.find("icon.svg")
    assert found is not None
    return Response(found.content, 200, {"cache-control": "max-age=86400"}, found.media_type)


async def asset(request: Request) -> Response:
    """Returns a file of pages; an address with the current version never changes its content."""
    found = assets.find(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    current = request.path_params["version"] == assets.version()
    headers = {
        "cache-control": IMMUTABLE if current else "no-cache",
        "x-content-type-options": "nosniff",
        "vary": "accept-encoding",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(found.compressed, 200, headers, found.media_type)
    return Response(found.content, 200, headers, found.media_type)
