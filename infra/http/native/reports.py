"""Routes of reports: `POST /ledger/v1/{name}:started` and so on, one by one or in batches."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from fastapi import APIRouter, Request
from jobledger.domain.data import parse
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError, LedgerError
from jobledger.domain.events import EVENT_TYPES, Updated, Updating
from jobledger.domain.reports import parse_report
from jobledger.domain.states import state_after
from jobledger.domain.values.canonical import JsonObject, json_type, object_of
from jobledger.domain.values.mending import as_object
from jobledger.domain.values.names import parse_name
from jobledger.infra.access.required import REPORTS, required_for_report
from jobledger.infra.access.tokens import Caller, check
from jobledger.infra.async_ledger import AsyncLedger
from jobledger.infra.eventstore.verbs import About as AboutEvent
from jobledger.infra.eventstore.write_path import Recorded, ReportedEvent
from jobledger.infra.google.wire.status import status_of
from jobledger.infra.http.native import answers, bodies
from jobledger.infra.http.native.routes import Json, NativeRoutes, about_of, recorded_json

MODELS: Final = {
    type_: bodies.report_model(f"{type_}Report", EVENT_TYPES[type_]) for type_ in REPORTS.values()
}
MAX_REPORTS: Final = 1_000


def report_routes(routes: NativeRoutes) -> APIRouter:
    """The routes of reports."""
    router = APIRouter(prefix="/ledger/v1", tags=["reports"])
    _add_batch(router, routes)
    for verb, type_ in REPORTS.items():
        _add_report(router, routes, verb, type_)
    return router


def _add_report(router: APIRouter, routes: NativeRoutes, verb: str, type_: str) -> None:
    cls, model = EVENT_TYPES[type_], MODELS[type_]

    async def report(request: Request, name: str, body: bodies.Further | None = None) -> Json:
        name = parse_name(name)
        caller = await routes.admit(request, verb, name)
        seen = _seen(name, type_, body or bodies.Further(), caller, request)
        check(caller, required_for_report(seen.data))
        (seen,) = await _completed(routes.ledger, [seen])
        async with routes.writing:
            recorded = await routes.ledger.report(seen.name, seen.data, **seen.about)
        return await routes.json(recorded_json(recorded))

    report.__annotations__["body"] = model | None  # Each report has fields of its own.
    router.post(
        f"/{{name:path}}:{verb}",
        name=verb,
        summary=f"Report: {type_}",
        response_model=answers.RecordedJson,
        description=f"{cls.__doc__} If the job's state does not allow the report, it is kept as Contradicted.",
    )(report)


def _seen(
    name: Any, type_: str, body: bodies.Further, caller: Caller, request: Request
) -> ReportedEvent:
    """A report; its fields count more than those of the same names in `data`."""
    fields = {
        info.alias or field: getattr(body, field)
        for field, info in type(body).model_fields.items()
        if field in body.model_fields_set and field not in bodies.Further.model_fields
    }
    about = {field: getattr(body, field) for field in bodies.About.model_fields}
    named = {"attempt": body.attempt, "runId": body.run_id}
    fields |= {field: value for field, value in named.items() if value is not None}
    data = parse_report(type_, as_object(body.data, "data") | fields)
    return ReportedEvent(parse_name(name), data, about_of(caller, request, about))


async def _completed(ledger: AsyncLedger, reports: Iterable[ReportedEvent]) -> list[ReportedEvent]:
    """The reports; an update that only reports its end has the requested configuration."""
    completed: list[ReportedEvent] = []
    begun: dict[str, JsonObject | None] = {}
    for name, data, about in reports:
        match data:
            case Updating(spec=spec):
                begun[name] = spec
            case Updated(spec=None, error=None):
                spec = begun.pop(name) if name in begun else await _asked(ledger, name, about)
                data = data.model_copy(update={"spec": spec})  # noqa: PLW2901 - the same, completed
        completed.append(ReportedEvent(name, data, about))
    return completed


async def _asked(ledger: AsyncLedger, name: str, about: AboutEvent) -> JsonObject | None:
    """The configuration of the update in progress, or of the one when the request first came."""
    request_id, asked = about.get("request_id"), None
    with suppress(JobNotFoundError):
        for event in await ledger.history(name):
            if request_id is not None and event.request_id == request_id:
                break
            if event.type == "Updating":
                asked = event.json.get("spec")
            elif state_after(event.type) is not None:
                asked = None
    return asked


def _add_batch(router: APIRouter, routes: NativeRoutes) -> None:
    async def batch(request: Request) -> Json:
        """Reports on any jobs, up to 1,000, recorded in their order and answered one by one.

        A refused or malformed report does not stop the others: its result holds a google.rpc.Status.
        """
        body = await request.body()
        caller = await routes.admit(request, "batch")
        items = [_report_or_error(*each, caller, request) for each in enumerate(_items(body))]
        reports = [item for item in items if isinstance(item, ReportedEvent)]
        for report in reports:
            check(caller, required_for_report(report.data), report.name)
        completed = await _completed(routes.ledger, reports)
        outcomes = iter(await routes.ledger.report_many(completed))
        results = [item if isinstance(item, LedgerError) else next(outcomes) for item in items]
        return await routes.json({"results": [_result(result) for result in results]})

    router.post(
        "/reports:batch",
        name="batch",
        response_model=answers.BatchJson,
        openapi_extra=bodies.batch_schema(sorted(REPORTS)),
    )(batch)


def _items(body: bytes) -> list[Any]:
    items = bodies.load_items(body, "reports")
    if len(items) > MAX_REPORTS:
        raise InvalidFieldError("reports", f"has {len(items)} reports; send at most {MAX_REPORTS}")
    return items


def _report_or_error(
    number: int, item: Any, caller: Caller, request: Request
) -> ReportedEvent | InvalidFieldError:
    """One of a batch, or why it is malformed."""
    try:
        return _report(number, item, caller, request)
    except InvalidFieldError as error:
        return error


def _report(number: int, item: Any, caller: Caller, request: Request) -> ReportedEvent:
    """One of a batch; raises InvalidFieldError with its place."""
    place = f"reports[{number}]"
    fields = dict(object_of(place, item))
    name, verb = fields.pop("name", None), fields.pop("report", None)
    type_ = REPORTS.get(verb) if isinstance(verb, str) else None
    if type_ is None:
        raise InvalidFieldError(
            f"{place}.report",
            f"{str(verb)[:60]!r} is not a report; use one such as started or succeeded",
        )
    if not isinstance(name, str):
        raise InvalidFieldError(
            f"{place}.name", f"must be the name of a job, not {json_type(name)}"
        )
    try:
        return _seen(name, type_, parse(MODELS[type_], fields), caller, request)
    except InvalidFieldError as error:
        raise InvalidFieldError(f"{place}.{error.field}", error.why) from error


def _result(result: Recorded | LedgerError) -> JsonObject:
    """Returns the result of one report of a batch: the recorded events, or the error."""
    if isinstance(result, LedgerError):
        return {"error": status_of(result).json()}
    event = result.events[-1]
    state = None if event.state is None else event.state.name
    return {
        "position": event.position, "name": event.name, "version": event.version,
        "type": event.type, "state": state,
    }  # fmt: skip
