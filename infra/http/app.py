"""The server's application: routes paths to Google's APIs, the native API, and the web pages."""

from fastapi import FastAPI
from jobledger.infra.google.wire.calls import UnknownMethodError
from jobledger.infra.http import docs_site, lineage_events
from jobledger.infra.http import google_routes as google
from jobledger.infra.http.middleware import RequestMiddleware
from jobledger.infra.http.native.app import create_native
from jobledger.infra.http.pages import app as pages
from jobledger.infra.http.types import Receive, Scope, Send
from jobledger.infra.serving.context import ServerContext
from starlette.routing import Match


def create_app(server: ServerContext) -> RequestMiddleware:
    """Creates the ASGI application of the whole server."""
    native: FastAPI = create_native(server)
    shown = pages.pages(server)
    documents = docs_site.docs_site()

    async def faces(scope: Scope, receive: Receive, send: Send) -> None:
        # The router's patterns end in `$`, which also matches before a line feed, and would serve a second path.
        if scope["type"] == "http" and scope["path"].endswith("\n"):
            raise UnknownMethodError(scope["method"], scope["path"])
        if scope["type"] == "http" and scope["path"].startswith(google.PREFIXES):
            await google.answer(server, scope, send)
        elif scope["type"] == "http" and lineage_events.serves(scope["method"], scope["path"]):
            await lineage_events.answer(server, scope, send)
        elif (
            scope["type"] == "http" and pages.serves(scope["method"], scope["path"])
        ) or _is_unknown_page(native, scope):
            await shown(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith(docs_site.PATH):
            await documents(scope, receive, send)
        else:
            await native(scope, receive, send)

    return RequestMiddleware(faces, server)


def _is_unknown_page(native: FastAPI, scope: Scope) -> bool:
    """Whether a browser requests a page at an unknown path; other clients get JSON there."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    if b"text/html" not in dict(scope["headers"]).get(b"accept", b""):
        return False
    return all(route.matches(scope)[0] is Match.NONE for route in native.router.routes)
