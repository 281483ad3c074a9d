"""The server's application: which paths go to which face, and which to the pages for people."""

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
    """Everything the server answers, as an ASGI application."""
    native: FastAPI = create_native(server)
    shown = pages.pages(server)
    documents = docs_site.docs_site()

    async def faces(scope: Scope, receive: Receive, send: Send) -> None:
        # The router's patterns end in `$`, which a line's end may follow: another name of the same.
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
    """Whether a browser asks for a page at a path that nothing answers; others get JSON there."""
    if scope["type"] != "http" or scope["method"] not in pages.READING:
        return False
    if b"text/html" not in dict(scope["headers"]).get(b"accept", b""):
        return False
    return all(route.matches(scope)[0] is Match.NONE for route in native.router.routes)
