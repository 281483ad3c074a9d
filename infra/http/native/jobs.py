"""Reading natively: a job, its events, lists and counts, now or as of any moment."""

from __future__ import annotations

from itertools import islice

from fastapi import APIRouter, Request
from jobledger.domain.canonical import JsonObject
from jobledger.domain.filters import All, Filter, Restriction, parse_filter
from jobledger.domain.names import parse_name
from jobledger.infra.access.tokens import Caller
from jobledger.infra.eventstore.json_view import event_json, job_json, moment_json
from jobledger.infra.http.native.routes import (
    Asking,
    AsOf,
    By,
    Clock,
    Json,
    OrderBy,
    PageSize,
    PageToken,
    Position,
)
from jobledger.infra.http.native.routes import Filter as FilterText

USUAL_EVENTS = 100
MAX_EVENTS = 1_000


def scoped(text: str, caller: Caller) -> Filter:
    """A filter within the project that the caller is limited to."""
    tree = parse_filter(text)
    if caller.project is None:
        return tree
    return All((Restriction(("project",), "=", caller.project), tree))


def reading(asking: Asking) -> APIRouter:
    """The routes of readers; those of all jobs first, for a job's name matches nearly anything."""
    router = APIRouter(prefix="/ledger/v1", tags=["reading"])
    _add_fleet(router, asking)
    _add_events(router, asking)
    _add_job(router, asking)
    return router


def _add_fleet(router: APIRouter, asking: Asking) -> None:
    ledger = asking.served.ledger

    @router.get("/jobs")
    async def jobs(
        request: Request, filter: FilterText = "", order_by: OrderBy = "", page_size: PageSize = 0,
        page_token: PageToken = "", as_of: AsOf = None, clock: Clock = None,
    ) -> Json:  # fmt: skip
        """Jobs that were not deleted, newest first; further pages show the first one's moment."""

        def work(caller: Caller) -> JsonObject:
            page = ledger.page(
                scoped(filter, caller), page_size=page_size, page_token=page_token,
                order_by=order_by, as_of=as_of, clock=clock,
            )  # fmt: skip
            return {
                "jobs": [job_json(job) for job in page.jobs],
                **moment_json(page.moment),
                "nextPageToken": page.next_page_token,
            }

        return await asking.read(request, None, work)

    @router.get("/jobs:count")
    async def count(
        request: Request, by: By = "state", filter: FilterText = "", as_of: AsOf = None, clock: Clock = None,
    ) -> Json:  # fmt: skip
        """How many jobs there are of each value of a field."""

        def work(caller: Caller) -> JsonObject:
            of = filter if caller.project is None else scoped(filter, caller)
            counts = ledger.count(by, of, as_of=as_of, clock=clock)
            values = [{"value": value, "count": n} for value, n in counts.counts.items()]
            return {"by": by, "counts": values, **moment_json(counts.moment)}

        return await asking.read(request, None, work)

    @router.get("/moment")
    async def moment(request: Request, as_of: AsOf = None, clock: Clock = None) -> Json:
        """What a moment means, pinned: asked again as of its position, an answer is the same."""
        return await asking.read(request, None, lambda _: moment_json(ledger.moment(as_of, clock)))


def _add_events(router: APIRouter, asking: Asking) -> None:
    ledger = asking.served.ledger

    @router.get("/events")
    async def events(
        request: Request, after: Position = 0, page_size: PageSize = USUAL_EVENTS,
    ) -> Json:  # fmt: skip
        """Events of the whole ledger after a position, in the order they were recorded."""

        def work(caller: Caller) -> JsonObject:
            most = min(page_size or USUAL_EVENTS, MAX_EVENTS)
            page = list(islice(ledger.events(after, follow=False), most))
            last = page[-1].position if page else after
            seen = [event_json(event) for event in page if caller.sees(event.name)]
            return {"events": seen, "lastPosition": last}

        return await asking.read(request, None, work)


def _add_job(router: APIRouter, asking: Asking) -> None:
    ledger = asking.served.ledger

    @router.get("/{name:path}/events")
    async def history(request: Request, name: str, after: Position = 0) -> Json:
        """All events of a job after a version, oldest first, also of a deleted one."""

        def work(_: Caller) -> JsonObject:
            past = ledger.history(parse_name(name))
            return {"events": [event_json(event) for event in past if event.version > after]}

        return await asking.read(request, parse_name(name), work)

    @router.get("/{name:path}")
    async def job(request: Request, name: str, as_of: AsOf = None, clock: Clock = None) -> Json:
        """A job, with the moment it is shown as of."""

        def work(_: Caller) -> JsonObject:
            if as_of is None and clock is None:
                return job_json(ledger.get(name))
            at = ledger.moment(as_of, clock, name)
            return job_json(ledger.get(name, as_of=at)) | moment_json(at)

        return await asking.read(request, parse_name(name), work)
