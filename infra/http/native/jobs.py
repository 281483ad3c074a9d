"""Reading natively: a job, its events, lists and counts, now or as of any moment."""

from functools import partial
from typing import Final

from fastapi import APIRouter, Request
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.filters import All, Filter, Restriction, parse_filter
from jobledger.domain.values.names import parse_name
from jobledger.infra.access.required import READ
from jobledger.infra.access.tokens import Caller
from jobledger.infra.eventstore.feed import LAST_VERSION
from jobledger.infra.eventstore.json_types import JobAtJson, MomentJson
from jobledger.infra.eventstore.json_view import event_json, job_json, moment_json
from jobledger.infra.history.tree import tree as find_tree
from jobledger.infra.history.tree import tree_json
from jobledger.infra.http.native import answers
from jobledger.infra.http.native.routes import (
    AsOf,
    By,
    Clock,
    Json,
    NativeRoutes,
    OrderBy,
    PageSize,
    PageToken,
    Position,
)
from jobledger.infra.http.native.routes import Filter as FilterText

DEFAULT_EVENTS: Final = 100
MAX_EVENTS: Final = 1_000
MAX_HISTORY: Final = 10_000


def scoped(text: str, caller: Caller) -> Filter:
    """A filter within the project that the caller is limited to."""
    tree = parse_filter(text)
    if caller.project is None:
        return tree
    return All((Restriction(("project",), "=", caller.project), tree))


def job_routes(routes: NativeRoutes) -> APIRouter:
    """The routes of readers; those of all jobs first, for a job's name matches nearly anything."""
    router = APIRouter(prefix="/ledger/v1", tags=["reading"])
    _add_fleet(router, routes)
    _add_events(router, routes)
    _add_job(router, routes)
    return router


def _add_fleet(router: APIRouter, routes: NativeRoutes) -> None:
    ledger = routes.ledger

    @router.get("/jobs", response_model=answers.JobsJson)
    async def jobs(
        request: Request, filter: FilterText = "", order_by: OrderBy = "", page_size: PageSize = 0,
        page_token: PageToken = "", as_of: AsOf = None, clock: Clock = None,
    ) -> Json:  # fmt: skip
        """Jobs that were not deleted, newest first; further pages show the first one's moment."""
        caller = await routes.admit(request, READ)
        page = await ledger.page(
            scoped(filter, caller), page_size=page_size, page_token=page_token,
            order_by=order_by, as_of=as_of, clock=clock,
        )  # fmt: skip
        listed = [job_json(job) for job in page.jobs]
        return await routes.json(
            {"jobs": listed, **moment_json(page.moment), "nextPageToken": page.next_page_token}
        )

    @router.get("/jobs:count", response_model=answers.CountsJson)
    async def count(
        request: Request, by: By = "state", filter: FilterText = "", as_of: AsOf = None, clock: Clock = None,
    ) -> Json:  # fmt: skip
        """Counts jobs by the values of a field."""
        caller = await routes.admit(request, READ)
        of = filter if caller.project is None else scoped(filter, caller)
        counts = await ledger.count(by, of, as_of=as_of, clock=clock)
        values = [{"value": value, "count": n} for value, n in counts.counts.items()]
        return await routes.json({"by": by, "counts": values, **moment_json(counts.moment)})

    @router.get("/moment", response_model=MomentJson)
    async def moment(request: Request, as_of: AsOf = None, clock: Clock = None) -> Json:
        """Returns a moment with its position: an answer as of that position never changes."""
        await routes.admit(request, READ)
        return await routes.json(moment_json(await ledger.moment(as_of, clock)))


def _add_events(router: APIRouter, routes: NativeRoutes) -> None:
    @router.get("/events", response_model=answers.EventsJson)
    async def events(
        request: Request, after: Position = 0, page_size: PageSize = DEFAULT_EVENTS,
    ) -> Json:  # fmt: skip
        """Events of the whole ledger after a position, in the order they were recorded."""
        caller = await routes.admit(request, READ)
        limit = min(page_size or DEFAULT_EVENTS, MAX_EVENTS)
        page = await routes.ledger.events_after(after, limit)
        last = page[-1].position if page else after
        seen = [event_json(event) for event in page if caller.sees(event.name)]
        answer: JsonObject = {"events": seen, "lastPosition": last}
        if last - after > len(page):
            answer["prunedPositions"] = await routes.ledger.pruned(after, last)
        return await routes.json(answer)


def _add_job(router: APIRouter, routes: NativeRoutes) -> None:
    ledger = routes.ledger

    @router.get("/{name:path}/events", response_model=answers.HistoryJson)
    async def history(
        request: Request, name: str, after: Position = 0, page_size: PageSize = MAX_HISTORY
    ) -> Json:
        """Events of a job after a version, oldest first, also of a deleted one.

        At most 10,000, and fewer if they are large: `nextAfter` is there if more follow, and the
        version to ask for them with.
        """
        name = parse_name(name)
        await routes.admit(request, READ, name)
        limit = min(page_size or MAX_HISTORY, MAX_HISTORY)
        page, more = await ledger.history_page(name, min(after, LAST_VERSION), limit)
        following = {"nextAfter": page[-1].version} if more else {}
        return await routes.json({"events": [event_json(e) for e in page]} | following)

    @router.get("/{name:path}:tree", response_model=answers.TreeAtJson)
    async def tree(request: Request, name: str, as_of: AsOf = None, clock: Clock = None) -> Json:
        """A job with the jobs below it, by the parents that they name: at most 10,000 and 100 levels."""
        name = parse_name(name)
        caller = await routes.admit(request, READ, name)
        at = await ledger.moment(as_of, clock, name)
        found = await ledger.run(partial(find_tree, routes.reader, name, at))
        return await routes.json(moment_json(at) | {"tree": tree_json(found, caller.sees)})

    @router.get("/{name:path}", response_model=JobAtJson)
    async def job(request: Request, name: str, as_of: AsOf = None, clock: Clock = None) -> Json:
        """Returns a job, and the moment as of which it is shown."""
        name = parse_name(name)
        await routes.admit(request, READ, name)
        if as_of is None and clock is None:
            return await routes.json(job_json(await ledger.get(name)))
        at = await ledger.moment(as_of, clock, name)
        found = await ledger.get(name, as_of=at)
        return await routes.json(job_json(found) | moment_json(at))
