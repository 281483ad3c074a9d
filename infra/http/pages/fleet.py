"""The fleet page's routes: the page, its parts as of another moment, and the requests of its controls."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from jobledger.domain.values.filters import All, Filter, Restriction
from jobledger.infra.access.tokens import Caller
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.history.counts.next_failure import next_failure
from jobledger.infra.history.counts.state_counts import steps
from jobledger.infra.http.pages.routes import Begun, PageRoutes, scope_of
from jobledger.infra.web import links
from jobledger.infra.web.fleet_page.job_list import Scope, read_jobs, read_moment
from jobledger.infra.web.fleet_page.offers import offers
from jobledger.infra.web.fleet_page.page import (
    begin_fleet,
    find_selected,
    read_chart,
    read_facts,
    read_fleet,
    read_series,
    read_tab,
)
from jobledger.infra.web.fleet_page.windows import find_window
from jobledger.infra.web.rendering import csv_text
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

LISTED: Final = {
    "all_columns": links.COLUMNS,
    "sizes": links.SIZES,
    "orders": links.ORDERS,
    "tabs": links.TABS,
    "windows": links.WINDOWS,
    "states": links.STATES,
    "default_states": links.DEFAULT_STATES,
    "job_address": links.job_address,
    "query_of": links.query_of,
}


class Asked(NamedTuple):
    """A request for the fleet page: its link, and the project that its caller sees."""

    link: links.FleetLink
    scope: Scope
    project: str | None


def fleet_routes(routes: PageRoutes) -> list[Route]:
    """Returns the routes of the page and its parts."""
    fleet = FleetPage(routes)
    return [
        Route("/", fleet.page),
        Route("/fleet/list", fleet.list),
        Route("/fleet/chart", fleet.chart),
        Route("/fleet/facts", fleet.facts),
        Route("/fleet/step", fleet.step),
        Route("/fleet/offers", fleet.offers),
        Route("/fleet.csv", fleet.csv),
    ]


class FleetPage:
    """Answers for the fleet page; a caller that is limited to a project sees only its jobs."""

    def __init__(self, routes: PageRoutes) -> None:
        self._routes = routes
        self._reader = routes.reader

    async def page(self, request: Request) -> Response:
        """Returns the whole page."""

        def begin(caller: Caller, request: Request) -> Begun:
            link, scope, project = self._asked(caller, request)
            begun = begin_fleet(self._reader, link)

            def read() -> dict[str, Any]:
                fleet = read_fleet(
                    self._reader, begun, scope, project, at_once=_is_at_once(request)
                )
                shown = fleet.jobs.link
                return {"fleet": fleet, "link": shown, "toggled": _toggled(shown)}

            top = {
                "page": "fleet", "live": not link.at, "asked": link,
                "link": begun.link.pinned(self._reader.name, begun.moment),
                "projects": [caller.project] if caller.project else begun.projects, **LISTED,
            }  # fmt: skip
            # If the link may be refused, the whole page is read before any of it is sent.
            may_be_refused = link.at or link.page or link.order or link.begin or link.end
            return Begun(top, read, at_once=not may_be_refused)

        return await self._routes.page_in_parts(request, "fleet.html", begin)

    async def list(self, request: Request) -> Response:
        """Returns the list or tab as of another moment; with `counted=1` always the whole list and its counts."""

        def work(caller: Caller, request: Request) -> dict[str, Any]:
            link, scope, project = self._asked(caller, request)
            jobs = read_jobs(self._reader, link, scope, at_once=_is_at_once(request))
            lanes = failures = None
            if link.tab != "jobs":
                span, _ = find_window(self._reader, link, jobs.moment, project)
                lanes, failures = read_tab(self._reader, jobs, scope, span)
            return {"fleet": {"jobs": jobs, "lanes": lanes, "failures": failures}} | LISTED

        return await self._routes.page(request, "fleet_moved.html", work)

    async def chart(self, request: Request) -> Response:
        """Returns only the chart, for another window, moment or filter."""

        def work(caller: Caller, request: Request) -> dict[str, Any]:
            link, scope, project = self._asked(caller, request)
            moment = read_moment(self._reader, link)
            drawn, shown = read_chart(self._reader, link, scope, project, moment)
            shown = shown.pinned(self._reader.name, moment)
            return {"drawn": drawn, "link": shown, "toggled": _toggled(shown)} | LISTED

        return await self._routes.page(request, "fleet_chart.html", work)

    async def facts(self, request: Request) -> Response:
        """Returns only the sentence, as of another moment."""

        def work(caller: Caller, request: Request) -> dict[str, Any]:
            link, scope, project = self._asked(caller, request)
            moment = read_moment(self._reader, link)
            found = read_facts(self._reader, moment, scope, project)
            return {"facts": found, "link": link.pinned(self._reader.name, moment)}

        return await self._routes.page(request, "fleet_facts.html", work)

    async def step(self, request: Request) -> Response:
        """Answers with the moment of the event before or after the link's.

        Args:
            request: `by` is -1 or 1. With `failures=1` only events count at which a job that the search selects failed or expired.

        Returns:
            `at` and `time`; `at` is null if there is no such event.
        """

        def work(caller: Caller, request: Request) -> dict[str, Any]:
            link, scope, project = self._asked(caller, request)
            moment = read_moment(self._reader, link)
            back = request.query_params.get("by") == "-1"
            if request.query_params.get("failures") == "1":
                selected = find_selected(self._reader, link, scope, project, moment)
                found = next_failure(self._reader, moment, selected.chosen, back=back)
            else:
                moments = steps(self._reader, moment, project)
                found = moments.before if back else moments.after
            if found is None:
                return {"at": None}
            return {"at": str(found), "time": time_text(found.time)}

        return await self._routes.json(request, work)

    async def offers(self, request: Request) -> Response:
        """Returns completions of a filter at a caret."""

        def work(caller: Caller, request: Request) -> Any:
            text = request.query_params.get("filter", "")
            caret = request.query_params.get("caret", "")
            at = int(caret) if caret.isascii() and caret.isdigit() else len(text)
            return [offer.json() for offer in offers(self._reader, text, at, caller.project)]

        return await self._routes.json(request, work)

    async def csv(self, request: Request) -> Response:
        """Returns all numbers of the chart."""

        def work(caller: Caller, request: Request) -> str:
            rows, columns = read_series(self._reader, *self._asked(caller, request))
            return csv_text(["time", *columns], rows)

        return await self._routes.file(request, "states.csv", "text/csv", work)

    def _asked(self, caller: Caller, request: Request) -> Asked:
        link = links.FleetLink.parse(request.query_params)
        links.check_ledger(link.ledger, self._reader.name)
        if caller.project is not None:
            # The caller sees only its project's jobs, whatever project the link names.
            link = link._replace(project=link.project and caller.project)
        project = caller.project or link.project or None
        return Asked(link, _within(scope_of(caller), project), project)


def _is_at_once(request: Request) -> bool:
    return request.query_params.get("counted") != "1"


def _within(scope: Scope, project: str | None) -> Scope:
    if project is None:
        return scope

    def limited(text: str) -> Filter:
        return All((Restriction(("project",), "=", project, (False, False)), scope(text)))

    return limited


def _toggled(link: links.FleetLink) -> Callable[[str], tuple[str, ...]]:
    """Returns a function that shows or hides one of the chart's states."""
    return lambda state: tuple(
        each for each in links.STATES if (each in link.states) != (each == state)
    )
