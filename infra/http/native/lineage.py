"""OpenLineage's API as its document describes it, and what is asked about it.

Events are received by `lineage_events`, before they come here.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from jobledger.infra.access.required import READ
from jobledger.infra.http import lineage_events
from jobledger.infra.http.native import answers, bodies
from jobledger.infra.http.native.routes import Json, NativeRoutes
from jobledger.infra.sources.openlineage.datasets import read_datasets
from jobledger.infra.sources.openlineage.forwarder import Forwarded

Project = Annotated[
    str | None,
    Query(description="The project of the jobs; else that of the token, else JOBLEDGER_PROJECT."),
]
ANY_EVENT: Final = {
    "type": "object",
    "description": "A RunEvent, a JobEvent or a DatasetEvent of OpenLineage 2-0-2.",
}


def lineage_routes(routes: NativeRoutes) -> APIRouter:
    """The routes that OpenLineage's clients send events to."""
    router = APIRouter(prefix=lineage_events.PATH, tags=["openlineage"])
    _add_event(router, routes)
    _add_batch(router, routes)
    _add_datasets(router, routes)
    _add_forwarding(router, routes)
    return router


def _add_event(router: APIRouter, routes: NativeRoutes) -> None:
    @router.post(
        "",
        name="lineage",
        response_model=answers.LineageJson,
        openapi_extra=bodies.body_schema(ANY_EVENT),
    )
    async def lineage(request: Request, project: Project = None) -> Json:  # noqa: ARG001 - it is in the query
        """Records one event; answers with the name of the job or of the dataset's stream, and how many events were written."""
        return await routes.json(await lineage_events.receive_event(routes.server, request.scope))


def _add_batch(router: APIRouter, routes: NativeRoutes) -> None:
    schema = {"type": "array", "maxItems": lineage_events.MAX_EVENTS, "items": ANY_EVENT}

    @router.post(
        "/batch",
        name="lineageBatch",
        response_model=answers.LineageBatchJson,
        openapi_extra=bodies.body_schema(schema),
    )
    async def batch(request: Request, project: Project = None) -> Json:  # noqa: ARG001 - it is in the query
        """Records up to 1,000 events in their order; a refused event does not stop the others."""
        return await routes.json(await lineage_events.receive_batch(routes.server, request.scope))


def _add_datasets(router: APIRouter, routes: NativeRoutes) -> None:
    @router.get("/datasets", name="lineageDatasets", response_model=answers.DatasetsJson)
    async def datasets(
        request: Request,
        project: Project = None,
        q: Annotated[str, Query(description="A part of the namespace or the name.")] = "",
    ) -> Json:
        """Lists up to 1,000 datasets of DatasetEvents, each with its last event."""
        caller = await routes.admit(request, READ)
        of = lineage_events.project_of_caller(routes.server, caller, project, READ)
        found = await routes.ledger.run(partial(read_datasets, routes.reader, of, q))
        return await routes.json({"datasets": found})


def _add_forwarding(router: APIRouter, routes: NativeRoutes) -> None:
    @router.get("/forwarding", name="lineageForwarding", response_model=answers.ForwardingJson)
    async def forwarding(request: Request) -> Json:
        """Counts the events that were forwarded to another server since this one started."""
        await routes.admit(request, READ)
        forwarder = routes.server.forwarder
        counts = Forwarded(0, 0, 0, 0, 0) if forwarder is None else forwarder.counts()
        return await routes.json({"enabled": forwarder is not None} | counts._asdict())
