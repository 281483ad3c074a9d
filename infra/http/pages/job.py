"""A job page's routes: the page, and the windows of the history that it requests."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.filter_text import quoted
from jobledger.domain.values.names import parse_name
from jobledger.infra.access.tokens import Caller
from jobledger.infra.eventstore.json_view import job_json
from jobledger.infra.history.explain import why
from jobledger.infra.http.pages.routes import Begun, PageRoutes, scope_of
from jobledger.infra.retention.holds import holds
from jobledger.infra.web.job_page import history
from jobledger.infra.web.job_page.page import read_page
from jobledger.infra.web.links import JobLink, check_ledger, parse_instant
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MAX_CHILDREN: Final = 20
Read = Callable[[history.Outline, Request], Any]


def job_routes(routes: PageRoutes) -> list[Route]:
    """Returns the routes of the page and its parts."""
    job = JobPage(routes)
    parts = {"step": job.step, "window": job.window, "blame": job.blame, "steps": job.steps}
    return [
        Route("/jobs/{name:path}", job.page),
        Route("/parts/why/{name:path}", job.why),
        Route("/parts/family/{name:path}", job.family),
        *(Route(f"/parts/{part}/{{name:path}}", partial(job.part, read)) for part, read in parts.items()),
    ]  # fmt: skip


class JobPage:
    """Answers for one job, also for a deleted one, whose history is kept."""

    def __init__(self, routes: PageRoutes) -> None:
        self._routes = routes
        self._reader = routes.reader

    async def page(self, request: Request) -> Response:
        """Returns the whole page."""
        name = parse_name(request.path_params["name"])

        def begin(_: Caller, request: Request) -> Begun:
            link = JobLink.parse(request.query_params)
            check_ledger(link.ledger, self._reader.name)
            # If the link may be refused, the whole page is read before any of it is sent.
            may_be_refused = link.at or link.until or self._reader.read_current(name) is None
            return Begun(
                {"name": name},
                lambda: {"job": read_page(self._reader, name, link)},
                at_once=not may_be_refused,
            )

        return await self._routes.page_in_parts(request, "job.html", begin, name)

    async def part(self, read: Read, request: Request) -> Response:
        """Answers a request of the page's script."""
        name = parse_name(request.path_params["name"])

        def work(_: Caller, request: Request) -> Any:
            link = JobLink.parse(request.query_params)
            return read(history.read_outline(self._reader, name, link.clock, link.until), request)

        return await self._routes.json(request, work, name)

    def step(self, outline: history.Outline, request: Request) -> JsonObject:
        """Returns the last step up to a time."""
        return {"step": outline.step_by(parse_instant("at", request.query_params.get("at", "")))}

    def window(self, outline: history.Outline, request: Request) -> JsonObject:
        """Returns some steps, and the job before them."""
        return history.read_window(self._reader, outline, _number(request, "window"))

    def blame(self, outline: history.Outline, request: Request) -> JsonObject:
        """Returns the step that set each field's value before those steps."""
        number = _number(request, "window")
        if number * history.WINDOW > len(outline.rows):
            raise InvalidFieldError(
                "window", f"there is no window {number}; the last is {outline.last_window}"
            )
        return {"since": history.read_blame(self._reader, outline, number)}

    def steps(self, outline: history.Outline, request: Request) -> JsonObject:
        """Returns a window of events after a step, filtered by type, actor or failure."""
        query = request.query_params
        found = outline.find(
            query.getlist("type"), query.getlist("actor"), failed=query.get("failed") == "1"
        )
        after = _number(request, "after")
        shown = [step for step in found if step > after][: history.WINDOW]
        events = history.read_steps(self._reader, outline, shown)
        return {
            "events": events,
            "total": len(found),
            "more": bool(found) and shown[-1:] != found[-1:],
        }

    async def family(self, request: Request) -> Response:
        """Returns the jobs that name this one as their parent, as known at the link's position."""
        name = parse_name(request.path_params["name"])

        def work(caller: Caller, request: Request) -> JsonObject:
            link = JobLink.parse(request.query_params)
            moment = self._reader.moment(f"@{link.until}" if link.until else None)
            asked = scope_of(caller)(f"parent = {quoted(name)}")
            page = self._reader.page(asked, page_size=MAX_CHILDREN, as_of=moment)
            children = [{"name": job.name, "state": job_json(job)["state"]} for job in page.jobs]
            return {"children": children, "more": bool(page.next_page_token)}

        return await self._routes.json(request, work, name)

    async def why(self, request: Request) -> Response:
        """Returns the explanation of the job's state at a moment, in sentences."""
        name = parse_name(request.path_params["name"])

        def work(_: Caller, request: Request) -> JsonObject:
            link = JobLink.parse(request.query_params)
            at = link.at or (f"@{link.until}" if link.until else None)
            moment = self._reader.moment(at, None, name)
            held = holds(self._reader, name, position=moment.position)
            explained = why(self._reader, name, moment).json()
            return explained | {"holds": [f"It has been {each.sentence}." for each in held]}

        return await self._routes.json(request, work, name)


def _number(request: Request, field: str) -> int:
    text = request.query_params.get(field, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidFieldError(field, f"{text[:40]!r} is not a number")
    return int(text)
