"""The base of native routes: parameters, admission of callers, answers in JSON."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Query, Request, Response
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import parse_text, parse_time, parse_trace_parent
from jobledger.domain.values.nearest import did_you_mean
from jobledger.infra.access.required import REQUIRED
from jobledger.infra.access.tokens import Caller, check
from jobledger.infra.eventstore.json_view import encode, event_json, job_json
from jobledger.infra.eventstore.verbs import About
from jobledger.infra.eventstore.write_path import Recorded
from jobledger.infra.serving.context import ServerContext

AsOf = Annotated[
    str | None,
    Query(
        alias="asOf",
        description="Back then: `v7` (of one job), `@4711` (after that position), an RFC 3339 time,"
        " `2h ago`, `yesterday 14:00`, or `TIME@POSITION`. Now, if it is not given.",
    ),
]
Clock = Annotated[
    str | None,
    Query(
        description="The clock of a time: `occurred` (valid time, the default) or `recorded` (transaction time)."
    ),
]
PageSize = Annotated[
    int,
    Query(
        alias="pageSize",
        ge=0,
        description="At most 1,000, and 10,000 events of one job; 0 is the default of the path.",
    ),
]
NO_NUL: Final = r"^[^\x00]*$"
"""The pattern of text that PostgreSQL can store."""
OrderBy = Annotated[
    str,
    Query(alias="orderBy", pattern=NO_NUL, description="AIP-132, such as `create_time desc`."),
]
By = Annotated[str, Query(pattern=NO_NUL, description="A field of filters, such as `labels.team`.")]
Position = Annotated[
    int, Query(ge=0, lt=10**18, description="After that position; of one job: that version.")
]
PageToken = Annotated[str, Query(alias="pageToken")]
Filter = Annotated[str, Query(description="AIP-160, such as `state = FAILED AND labels.team = a`.")]


COOKIE: Final = "jobledger_token"
"""The cookie of a browser's token; only pages, and what they read, accept it."""


def authorization_of(request: Request) -> str:
    """Returns the Authorization header, or its value from the cookie of a reading browser."""
    header = request.headers.get("authorization")
    if header is not None or request.method != "GET":
        return header or ""
    token = request.cookies.get(COOKIE)
    return f"Bearer {token}" if token else ""


class Json(Response):
    """JSON that is ready to be sent."""

    media_type = "application/json"


class NativeRoutes:
    """The ledger, the admission of callers, and answers in JSON, for native routes."""

    def __init__(self, server: ServerContext) -> None:
        self.server = server
        self.ledger = server.ledger
        self.reader = server.ledger.ledger.reader
        """The ledger for threads, for functions that block; call them in `ledger.run`."""
        self.store = server.ledger.ledger
        """The same for those that write."""
        self.writing = server.writers
        """A context for writes that take a commit and nothing else."""

    async def admit(self, request: Request, action: str, name: str | None = None) -> Caller:
        """Checks that the caller may do what the request asks for.

        Args:
            request: The request.
            action: What it asks for.
            name: The job it is about; None if it is about many.

        Returns:
            The caller.

        Raises:
            UnauthenticatedError: The server takes tokens, and the request has no valid one.
            PermissionDeniedError: The caller lacks the role for the action, or may not see the job.
            InvalidFieldError: The query has a parameter that the route does not have, or one twice.
        """
        caller = await self.server.admit(authorization_of(request))
        request.state.actor = caller.name
        check(caller, REQUIRED[action], name)
        _check_parameters(request)
        if request.method == "GET":
            self.server.writers.make_way()
        return caller

    async def json(self, answer: Any) -> Json:
        """The answer, with its personal values decrypted."""
        return Json(await self.ledger.decrypt_json(encode(answer)))


def _check_parameters(request: Request) -> None:
    """Raises InvalidFieldError for a parameter that is unknown or repeated: the answer would be to another question."""
    if not request.scope["query_string"]:
        return
    route = request.scope["route"]
    known = [parameter.alias for parameter in route.dependant.query_params]
    given = [key for key, _ in request.query_params.multi_items()]
    for key in given:
        if key not in known:
            hint = did_you_mean(key, known) or "; it has none"
            why = f"{key[:80]!r} is not a parameter of {request.method} {route.path}{hint}"
            raise InvalidFieldError("query", why)
        if given.count(key) > 1:
            raise InvalidFieldError("query", f"{key[:80]!r} is given more than once; give it once")


def about_of(caller: Caller, request: Request, fields: dict[str, Any]) -> About:
    """Returns what is recorded of an event besides its data; the token's name is the actor.

    Args:
        caller: Who sends the request.
        request: The request.
        fields: The fields of its body.

    Returns:
        The fields.

    Raises:
        InvalidFieldError: A field is not accepted.
    """
    about: About = {}
    if caller.name is not None:
        about["actor"] = caller.name
    if (time := fields.get("occurred_time")) is not None:
        about["occurred_time"] = parse_time(time, datetime.now(UTC), "occurredTime")
    if (request_id := parse_text("requestId", fields.get("request_id"))) is not None:
        about["request_id"] = request_id
    trace_parent = parse_trace_parent(fields.get("trace_parent")) or request.state.trace_parent
    if trace_parent is not None:
        about["trace_parent"] = trace_parent
    return about


def recorded_json(recorded: Recorded) -> JsonObject:
    """The result of a command or a report as JSON."""
    events = [event_json(event) for event in recorded.events]
    return {"job": job_json(recorded.job), "events": events}
