"""The reports page's routes: a report as a page, and its rows as a file."""

from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.access.tokens import Caller
from jobledger.infra.analytics.statistics import REPORTS
from jobledger.infra.http.pages.routes import PageRoutes, scope_of
from jobledger.infra.web.evaluations import read_evaluations, rows_of
from jobledger.infra.web.links import check_ledger, job_address
from jobledger.infra.web.rendering import csv_text
from jobledger.infra.web.reports import TITLES, ReportLink, read_report
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FORM_FIELDS: Final = frozenset({"from", "to", "bucket", "by", "filter"})
"""Fields of the form; an error is shown next to its field."""
BUCKETED: Final = frozenset(name for name, kind in REPORTS.items() if kind.bucketed)


def report_routes(routes: PageRoutes) -> list[Route]:
    """Returns the routes of the page and its rows."""
    reports = ReportsPage(routes)
    return [Route("/reports", reports.page), Route("/reports.csv", reports.csv)]


class ReportsPage:
    """Answers with reports; for a caller that is limited to a project, only its jobs are counted."""

    def __init__(self, routes: PageRoutes) -> None:
        self._routes = routes
        self._reader = routes.reader

    async def page(self, request: Request) -> Response:
        """Returns the report that the address names."""

        def work(caller: Caller, request: Request) -> dict[str, Any]:
            link = self._link(request)
            usual = {
                "page": "labeling" if link.report == "evaluations" else "reports", "titles": TITLES, "bucketed": link.report in BUCKETED,
                "job_address": job_address, "problem": None,
            }  # fmt: skip
            if link.report == "evaluations":
                shown = read_evaluations(self._reader, link, scope_of(caller))
                return usual | {"evaluations": shown, "shown": None, "link": shown.link}
            try:
                found = read_report(self._reader, link, caller.project)
            except InvalidFieldError as error:
                if error.field not in FORM_FIELDS:
                    raise
                return usual | {"evaluations": None, "shown": None, "link": link, "problem": error}
            return usual | {"evaluations": None, "shown": found, "link": found.link}

        return await self._routes.page(request, "reports.html", work)

    async def csv(self, request: Request) -> Response:
        """Returns the report's rows."""

        def work(caller: Caller, request: Request) -> str:
            link = self._link(request)
            if link.report == "evaluations":
                shown = read_evaluations(self._reader, link, scope_of(caller))
                return csv_text(*rows_of(shown, request.query_params.get("of", "curve")))
            found = read_report(self._reader, link, caller.project)
            return csv_text(found.report.columns, [row for _, row in found.rows])

        name = f"{ReportLink.parse(request.query_params).report}.csv"
        return await self._routes.file(request, name, "text/csv", work)

    def _link(self, request: Request) -> ReportLink:
        link = ReportLink.parse(request.query_params)
        check_ledger(link.ledger, self._reader.name)
        return link
