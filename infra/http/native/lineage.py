"""OpenLineage's API: `POST /api/v1/lineage` and `/api/v1/lineage/batch`, as its clients call it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError, LedgerError
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.access.required import LINEAGE, READ, REQUIRED
from jobledger.infra.access.tokens import Caller, check
from jobledger.infra.eventstore.json_view import encode
from jobledger.infra.eventstore.write_path import ObservedEvent, Recorded
from jobledger.infra.google.wire.status import status_of
from jobledger.infra.http.native import answers, bodies
from jobledger.infra.http.native.routes import Json, NativeRoutes
from jobledger.infra.settings import Settings
from jobledger.infra.sources.openlineage.datasets import DatasetFact, DatasetWrite, read_datasets
from jobledger.infra.sources.openlineage.event import LineageEvent, parse_event
from jobledger.infra.sources.openlineage.forwarder import Forwarded
from jobledger.infra.sources.openlineage.history import observed

MAX_EVENTS: Final = 1_000
RETRIABLE: Final = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"})
Project = Annotated[
    str | None,
    Query(description="The project of the jobs; else that of the token, else JOBLEDGER_PROJECT."),
]
ANY_EVENT: Final = {
    "type": "object",
    "description": "A RunEvent, a JobEvent or a DatasetEvent of OpenLineage 2-0-2.",
}
IsKnown = Callable[[str], bool]
Item = list[ObservedEvent] | DatasetFact
"""The records of an event: reports on a job, or a fact of a dataset."""


def lineage_routes(routes: NativeRoutes) -> APIRouter:
    """The routes that OpenLineage's clients send events to."""
    router = APIRouter(prefix="/api/v1/lineage", tags=["openlineage"])
    usual = Settings().project
    _add_event(router, routes, usual)
    _add_batch(router, routes, usual)
    _add_datasets(router, routes, usual)
    _add_forwarding(router, routes)
    return router


def _add_event(router: APIRouter, routes: NativeRoutes, usual: str) -> None:
    @router.post(
        "",
        name="lineage",
        response_model=answers.LineageJson,
        openapi_extra=bodies.body_schema(ANY_EVENT),
    )
    async def lineage(request: Request, project: Project = None) -> Json:
        """Records one event; answers with the name of the job or of the dataset's stream, and how many events were written."""
        receiver = await _receiver(routes, request, project or usual)
        body = await request.body()
        event = receiver.parse(bodies.load(body))
        item = receiver.item(event, routes.ledger.writer.is_known)
        (outcome,) = await _record(routes, receiver, [item])
        if isinstance(outcome, JobNotFoundError):
            # It existed, and was removed since.
            (outcome,) = await _record(routes, receiver, [receiver.item(event)])
        if isinstance(outcome, LedgerError):
            raise outcome
        _forward(routes, body)
        name = item.stream if isinstance(item, DatasetFact) else item[0].name
        kind = "dataset" if isinstance(item, DatasetFact) else "job"
        return await routes.json({kind: name, "events": outcome})


def _add_batch(router: APIRouter, routes: NativeRoutes, usual: str) -> None:
    schema = {"type": "array", "maxItems": MAX_EVENTS, "items": ANY_EVENT}

    @router.post(
        "/batch",
        name="lineageBatch",
        response_model=answers.LineageBatchJson,
        openapi_extra=bodies.body_schema(schema),
    )
    async def batch(request: Request, project: Project = None) -> Json:
        """Records up to 1,000 events in their order; a refused event does not stop the others."""
        receiver = await _receiver(routes, request, project or usual)
        given = _items(await request.body())
        items = [receiver.item_or_error(each) for each in given]
        outcomes = await _record(routes, receiver, items)
        for each, outcome in zip(given, outcomes, strict=True):
            if not isinstance(outcome, LedgerError):
                _forward(routes, encode(each))
        return await routes.json(_summary(outcomes))


def _add_datasets(router: APIRouter, routes: NativeRoutes, usual: str) -> None:
    @router.get("/datasets", name="lineageDatasets", response_model=answers.DatasetsJson)
    async def datasets(
        request: Request,
        project: Project = None,
        q: Annotated[str, Query(description="A part of the namespace or the name.")] = "",
    ) -> Json:
        """Lists up to 1,000 datasets of DatasetEvents, each with its last event."""
        of = await _project(routes, request, project or usual, READ)
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


class _Receiver:
    """Takes the events of one request."""

    def __init__(self, caller: Caller, project: str) -> None:
        self.actor = caller.name or "openlineage"
        self.project = project
        self._now = datetime.now(UTC)

    def parse(self, given: Any) -> LineageEvent:
        """The event; raises InvalidFieldError."""
        return parse_event(given, self._now)

    def item(self, event: LineageEvent, is_known: IsKnown = lambda name: False) -> Item:
        """What to record of it, but not that its job was made if that is known; raises InvalidFieldError."""
        if event.job is None:
            return DatasetFact.of(event, self.project)
        return observed(event, self.project, self.actor, is_known)

    def item_or_error(self, given: Any) -> Item | LedgerError:
        """The same of an event that may be malformed."""
        try:
            return self.item(self.parse(given))
        except LedgerError as error:
            return error


async def _receiver(routes: NativeRoutes, request: Request, project: str) -> _Receiver:
    caller = await routes.admit(request, LINEAGE)
    return _Receiver(caller, _checked(caller, request, project, LINEAGE))


async def _project(routes: NativeRoutes, request: Request, project: str, action: str) -> str:
    caller = await routes.admit(request, action)
    return _checked(caller, request, project, action)


def _checked(caller: Caller, request: Request, project: str, action: str) -> str:
    """The project, or that of the token; raises PermissionDeniedError."""
    if caller.project is not None and "project" not in request.query_params:
        project = caller.project
    check(caller, REQUIRED[action], f"projects/{project}/jobs/x")
    return project


def _forward(routes: NativeRoutes, event: bytes) -> None:
    if routes.server.forwarder is not None:
        routes.server.forwarder.put(event)


async def _record(
    routes: NativeRoutes, receiver: _Receiver, items: Sequence[Item | LedgerError]
) -> list[int | LedgerError]:
    """Records all items in one write; returns for each the number of events, or its error."""
    reports = [report for item in items if isinstance(item, list) for report in item]
    facts = [item for item in items if isinstance(item, DatasetFact)]
    write = DatasetWrite(facts, receiver.actor)
    async with routes.writing:
        outcomes = iter(await routes.ledger.report_many(reports) if reports else ())
        if facts:
            await routes.ledger.submit(write)
    return [_outcome(item, outcomes, write) for item in items]


def _outcome(
    item: Item | LedgerError, outcomes: Iterator[Recorded | LedgerError], write: DatasetWrite
) -> int | LedgerError:
    if isinstance(item, LedgerError):
        return item
    if isinstance(item, DatasetFact):
        return int(item in write.written)
    return _total([next(outcomes) for _ in item])


def _total(outcomes: list[Recorded | LedgerError]) -> int | LedgerError:
    events = 0
    for outcome in outcomes:
        if isinstance(outcome, LedgerError):
            return outcome
        events += len(outcome.events)
    return events


def _items(body: bytes) -> list[Any]:
    items = bodies.load(body)
    if not isinstance(items, list):
        raise InvalidFieldError("body", "is not a list of events")
    if len(items) > MAX_EVENTS:
        raise InvalidFieldError("body", f"has {len(items)} events; send at most {MAX_EVENTS}")
    return items


def _summary(outcomes: list[int | LedgerError]) -> JsonObject:
    """The answer of OpenLineage's API to a batch."""
    failed = [
        {
            "index": index,
            "reason": str(outcome),
            "retriable": status_of(outcome).code.name in RETRIABLE,
        }
        for index, outcome in enumerate(outcomes)
        if isinstance(outcome, LedgerError)
    ]
    retriable = sum(bool(each["retriable"]) for each in failed)
    return {
        "status": "partial_success" if failed else "success",
        "summary": {
            "received": len(outcomes),
            "successful": len(outcomes) - len(failed),
            "failed": len(failed),
            "retriable": retriable,
            "non_retriable": len(failed) - retriable,
        },
        "failed_events": failed,
    }
