"""The fleet page's routes: the page, its list as of another moment, and what its controls ask for."""

from typing import Any, Final

from jobledger.infra.access.tokens import Caller
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.history.state_counts import steps
from jobledger.infra.http.pages.routes import PageRoutes, scope_of
from jobledger.infra.web import links
from jobledger.infra.web.fleet import read_fleet, read_jobs, read_moment, read_series
from jobledger.infra.web.offers import offers
from jobledger.infra.web.rendering import csv_text
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

LISTED: Final = {
    "all_columns": links.COLUMNS,
    "sizes": links.SIZES,
    "job_address": links.job_address,
    "query_of": links.query_of,
}


def fleet_routes(routes: PageRoutes) -> list[Route]:
    """The page, and parts of it."""
    fleet = FleetPage(routes)
    return [
        Route("/", fleet.page),
        Route("/fleet/list", fleet.list),
        Route("/fleet/step", fleet.step),
        Route("/fleet/offers", fleet.offers),
        Route("/fleet.csv", fleet.csv),
    ]


class FleetPage:
    """Answers for the fleet; who is limited to a project sees, and counts, its jobs only."""

    def __init__(self, routes: PageRoutes) -> None:
        self._routes = routes
        self._reader = routes.reader

    async def page(self, request: Request) -> Response:
        """All of it."""

        def work(caller: Caller, request: Request) -> dict[str, Any]:
            fleet = read_fleet(self._reader, self._link(request), scope_of(caller), caller.project)
            shown = fleet.jobs.link.states

            def toggled(state: str) -> tuple[str, ...]:
                return tuple(s for s in links.STATES if (s in shown) != (s == state))

            return {
                "page": "fleet", "fleet": fleet, "states": links.STATES,
                "usual_states": links.SHOWN, "toggled": toggled, **LISTED,
            }  # fmt: skip

        return await self._routes.page(request, "fleet.html", work)

    async def list(self, request: Request) -> Response:
        """The list alone, as of another moment."""

        def work(caller: Caller, request: Request) -> dict[str, Any]:
            jobs = read_jobs(self._reader, self._link(request), scope_of(caller))
            return {"fleet": {"jobs": jobs}} | LISTED

        return await self._routes.page(request, "fleet_list.html", work)

    async def step(self, request: Request) -> Response:
        """The moment of the event before (`by` -1) or after (1) the link's; `at` is null where there is none."""

        def work(caller: Caller, request: Request) -> dict[str, Any]:
            moment = read_moment(self._reader, self._link(request))
            moments = steps(self._reader, moment, caller.project)
            back = request.query_params.get("by") == "-1"
            found = moments.before if back else moments.after
            if found is None:
                return {"at": None}
            return {"at": str(found), "time": time_text(found.time)}

        return await self._routes.json(request, work)

    async def offers(self, request: Request) -> Response:
        """What may follow in a filter at a caret."""

        def work(caller: Caller, request: Request) -> Any:
            text = request.query_params.get("filter", "")
            caret = request.query_params.get("caret", "")
            at = int(caret) if caret.isascii() and caret.isdigit() else len(text)
            return [offer.json() for offer in offers(self._reader, text, at, caller.project)]

        return await self._routes.json(request, work)

    async def csv(self, request: Request) -> Response:
        """The chart's numbers, all of them."""

        def work(caller: Caller, request: Request) -> str:
            rows, states = read_series(self._reader, self._link(request), caller.project)
            return csv_text(["time", *states], rows)

        return await self._routes.file(request, "states.csv", "text/csv", work)

    def _link(self, request: Request) -> links.FleetLink:
        link = links.FleetLink.parse(request.query_params)
        links.check_ledger(link.ledger, self._reader.name)
        return link
