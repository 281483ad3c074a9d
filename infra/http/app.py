"""The server's application: which paths go to which face, and which to the pages for people."""

from fastapi import FastAPI
from jobledger.infra.http import docs_site
from jobledger.infra.http import google_routes as google
from jobledger.infra.http.middleware import RequestMiddleware
from jobledger.infra.http.native.app import create_native
from jobledger.infra.http.pages import app as pages
from jobledger.infra.http.types import Receive, Scope, Send
from jobledger.infra.serving.context import ServerContext


def create_app(server: ServerContext) -> RequestMiddleware:
    """Everything the server answers, as an ASGI application."""
    native: FastAPI = create_native(server)
    shown = pages.pages(server)
    documents = docs_site.docs_site()

    async def faces(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(google.PREFIXES):
            await google.answer(server, scope, send)
        elif scope["type"] == "http" and pages.serves(scope["method"], scope["path"]):
            await shown(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith(docs_site.PATH):
            await documents(scope, receive, send)
        else:
            await native(scope, receive, send)

    return RequestMiddleware(faces, server)
