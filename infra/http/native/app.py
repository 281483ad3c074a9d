"""The ledger's own surface under `/ledger/v1`, its OpenAPI document, and whether the server is well."""

import asyncio
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from jobledger.domain.errors import InvalidFieldError, LedgerError
from jobledger.domain.values.validation import why_invalid
from jobledger.infra.access.required import READ
from jobledger.infra.eventstore import json_types
from jobledger.infra.eventstore.json_view import encode
from jobledger.infra.google.wire.calls import UnknownMethodError
from jobledger.infra.google.wire.status import status_of
from jobledger.infra.http.middleware import as_sent, extra_headers
from jobledger.infra.http.native import answers, evaluation_answers
from jobledger.infra.http.native.answers import Health
from jobledger.infra.http.native.commands import command_routes
from jobledger.infra.http.native.heartbeats import heartbeat_routes
from jobledger.infra.http.native.jobs import job_routes
from jobledger.infra.http.native.labeling import labeling_routes
from jobledger.infra.http.native.lineage import lineage_routes
from jobledger.infra.http.native.log import log_routes
from jobledger.infra.http.native.reports import report_routes
from jobledger.infra.http.native.retention import retention_routes
from jobledger.infra.http.native.routes import NativeRoutes
from jobledger.infra.http.native.samples import sample_routes
from jobledger.infra.http.native.stream import stream_routes
from jobledger.infra.http.openapi import with_google
from jobledger.infra.http.pages.label_page import label_page
from jobledger.infra.http.reference_page import reference_page
from jobledger.infra.serving.context import ServerContext
from pydantic import ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from typing_extensions import is_typeddict

ABOUT: Final = """The HTTP API of Job Ledger, a bitemporal ledger of jobs.

In addition to `/ledger/v1`, it has Google's AI Platform `ml` v1 jobs, Vertex AI v1 jobs and Data Labeling
v1beta1 evaluation jobs; every GET and LIST of those takes `readTime` (transaction time) and
`validTime` (valid time) too. Errors are google.rpc.Status with an ErrorInfo of domain `jobledger`.
"""


def create_native(server: ServerContext) -> FastAPI:
    """The application that answers whatever is not Google's."""
    _defer_schemas()
    app = FastAPI(
        title="Job Ledger",
        version=version("jobledger"),
        description=ABOUT,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    routes = NativeRoutes(server)
    _add_probes(app, server)
    for router in (
        report_routes(routes),
        heartbeat_routes(routes),
        command_routes(routes),
        sample_routes(routes),
        labeling_routes(routes),
        label_page(),
        reference_page(lambda: with_google(app)),
        stream_routes(routes),
        log_routes(routes),
        lineage_routes(routes),
        retention_routes(routes),
        job_routes(routes),
    ):
        # An included router would match each path twice.
        app.router.routes.extend(router.routes)
    # The middleware answers errors, instead of FastAPI.
    for error in (LedgerError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(error, partial(_refuse, routes))
    app.openapi = lambda: with_google(app)  # type: ignore[method-assign]
    return app


def _defer_schemas() -> None:
    """Has pydantic make the schemas of answers when the OpenAPI document is requested, not at each start."""
    for module in (answers, evaluation_answers, json_types):
        for kind in vars(module).values():
            if is_typeddict(kind):
                kind.__pydantic_config__ = ConfigDict(defer_build=True)


def _add_probes(app: FastAPI, server: ServerContext) -> None:
    @app.head("/healthz", tags=["server"], response_model=Health)
    @app.get("/healthz", tags=["server"], response_model=Health)
    async def healthz() -> dict[str, str]:
        """Answers 200 while the process is alive."""
        return {"status": "ok"}

    @app.head("/readyz", tags=["server"], response_model=Health)
    @app.get("/readyz", tags=["server"], response_model=Health)
    async def readyz() -> Response:
        """Answers 200 while the server accepts requests and its ledger can be reached; 503 otherwise."""
        reached = False
        with suppress(LedgerError, TimeoutError):
            async with asyncio.timeout(5):
                await server.ledger.size()
                reached = True
        if reached and not server.stopping.is_set():
            return JSONResponse({"status": "ok"})
        why = "stopping" if server.stopping.is_set() else "the ledger's server cannot be reached"
        return JSONResponse({"status": why}, status_code=503)


async def _refuse(routes: NativeRoutes, request: Request, error: Exception) -> Response:
    """The error as a Status; what FastAPI found wrong, as the ledger's own errors."""
    ours = _ours(request, error)
    if isinstance(ours, InvalidFieldError):
        ours = await _known_to(routes, request, ours)
    request.state.error = ours
    status = status_of(as_sent(ours))
    answer = Response(encode(status.body()), status.code.http, media_type="application/json")
    answer.raw_headers += extra_headers(status)
    return answer


async def _known_to(routes: NativeRoutes, request: Request, error: LedgerError) -> LedgerError:
    """Answers an invalid request; a caller without a token learns only that it needs one."""
    try:
        await routes.admit(request, READ)
    except LedgerError as stranger:
        return stranger
    return error


def _ours(request: Request, error: Exception) -> Exception:
    match error:
        case RequestValidationError():
            return _invalid(error.errors()[0])
        case HTTPException(status_code=HTTPStatus.BAD_REQUEST):
            return InvalidFieldError(
                "body", "is not JSON that can be read; check its syntax and its nesting"
            )
        case HTTPException():
            return UnknownMethodError(request.method, request.url.path)
    return error


def _invalid(found: Any) -> InvalidFieldError:
    """The first error of a request, by the name of its field."""
    if found["type"] == "json_invalid":
        return InvalidFieldError("body", f"is not JSON: {found['ctx']['error']}")
    _, *path = found["loc"]
    field = ".".join(map(str, path))[:200] or "body"
    # Half a surrogate pair is JSON, and no text that can be sent.
    return InvalidFieldError(field.encode(errors="replace").decode(), why_invalid(found))
