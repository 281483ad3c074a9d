"""OpenLineage's API: `POST /api/v1/lineage` and `/api/v1/lineage/batch`, as its clients call it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from jobledger.domain.errors import InvalidFieldError, LedgerError
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.access.required import LINEAGE, REQUIRED
from jobledger.infra.access.tokens import Caller, check
from jobledger.infra.eventstore.write_path import ObservedEvent, Recorded
from jobledger.infra.google.wire.status import status_of
from jobledger.infra.http.native import answers, bodies
from jobledger.infra.http.native.routes import Json, NativeRoutes
from jobledger.infra.settings import Settings
from jobledger.infra.sources.openlineage.event import LineageEvent, parse_event
from jobledger.infra.sources.openlineage.history import ledger_name, observed

MAX_EVENTS: Final = 1_000
RETRIABLE: Final = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"})
Project = Annotated[
    str | None,
    Query(description="The project of the jobs; else that of the token, else JOBLEDGER_PROJECT."),
]
ANY_EVENT: Final = {
    "type": "object",
    "description": "A RunEvent or a JobEvent of OpenLineage 2-0-2.",
}


def lineage_routes(routes: NativeRoutes) -> APIRouter:
    """The routes that OpenLineage's clients send events to."""
    router = APIRouter(prefix="/api/v1/lineage", tags=["openlineage"])
    usual = Settings().project

    async def lineage(request: Request, project: Project = None) -> Json:
        """Records one event; answers with the job's name, and how many events were written for it."""
        receiver = await _receiver(routes, request, project or usual)
        event = receiver.parse(bodies.load(await request.body()))
        (outcome,) = await _record(routes, [receiver.observed(event)])
        if isinstance(outcome, LedgerError):
            raise outcome
        assert event.job is not None
        name = ledger_name(event.job, receiver.project)
        return await routes.json({"job": name, "events": outcome})

    async def batch(request: Request, project: Project = None) -> Json:
        """Records up to 1,000 events in their order; one that is refused keeps no other back."""
        receiver = await _receiver(routes, request, project or usual)
        items = [receiver.observed_or_error(each) for each in _items(await request.body())]
        return await routes.json(_summary(await _record(routes, items)))

    schema = {"type": "array", "maxItems": MAX_EVENTS, "items": ANY_EVENT}
    router.post(
        "",
        name="lineage",
        response_model=answers.LineageJson,
        openapi_extra=bodies.body_schema(ANY_EVENT),
    )(lineage)
    router.post(
        "/batch",
        name="lineageBatch",
        response_model=answers.LineageBatchJson,
        openapi_extra=bodies.body_schema(schema),
    )(batch)
    return router


class _Receiver:
    """Takes the events of one request."""

    def __init__(self, caller: Caller, project: str) -> None:
        self._actor = caller.name or "openlineage"
        self.project = project
        self._now = datetime.now(UTC)

    def parse(self, given: Any) -> LineageEvent:
        """The event; raises InvalidFieldError."""
        event = parse_event(given, self._now)
        if event.job is None:
            raise InvalidFieldError(
                "job", "is missing: an event of a dataset alone belongs to no job's history"
            )
        return event

    def observed(self, event: LineageEvent) -> list[ObservedEvent]:
        """The events to record."""
        return observed(event, self.project, self._actor)

    def observed_or_error(self, given: Any) -> list[ObservedEvent] | LedgerError:
        """The same of an event that may be malformed."""
        try:
            return self.observed(self.parse(given))
        except LedgerError as error:
            return error


async def _receiver(routes: NativeRoutes, request: Request, project: str) -> _Receiver:
    caller = await routes.admit(request, LINEAGE)
    if caller.project is not None and "project" not in request.query_params:
        project = caller.project
    check(caller, REQUIRED[LINEAGE], f"projects/{project}/jobs/x")
    return _Receiver(caller, project)


async def _record(
    routes: NativeRoutes, items: Iterable[list[ObservedEvent] | LedgerError]
) -> list[int | LedgerError]:
    """Records all of them in one go; for each item, how many events were written, or what was wrong."""
    items = list(items)
    reports = [report for item in items if isinstance(item, list) for report in item]
    async with routes.writing:
        outcomes = iter(await routes.ledger.report_many(reports))
    return [
        item if isinstance(item, LedgerError) else _total([next(outcomes) for _ in item])
        for item in items
    ]


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
