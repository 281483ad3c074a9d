"""What every native route does: admits the caller, checks what it may, works in a thread, answers JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final

from fastapi import Query, Request, Response
from jobledger.domain.names import parse_text, parse_time, parse_trace_parent
from jobledger.infra.access.tokens import Caller, Role, check
from jobledger.infra.eventstore.verbs import About
from jobledger.infra.http.middleware import encode
from jobledger.infra.serving.context import Served

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
        description="Of times: `occurred` (as it happened, the usual) or `recorded` (as we knew it)."
    ),
]
PageSize = Annotated[int, Query(alias="pageSize", ge=0, description="At most 1,000; usually 50.")]
NO_NUL: Final = r"^[^\x00]*$"
"""What PostgreSQL takes as text."""
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
"""Where a browser keeps a token; only pages, and what they read, take it from there."""


def authorization_of(request: Request) -> str:
    """The Authorization header, or what a browser that only reads says instead of it."""
    said = request.headers.get("authorization")
    if said is not None or request.method not in {"GET", "HEAD"}:
        return said or ""
    token = request.cookies.get(COOKIE)
    return f"Bearer {token}" if token else ""


class Json(Response):
    """JSON that is ready to be sent."""

    media_type = "application/json"


class Asking:
    """Lets native routes ask the ledger on behalf of who calls them."""

    def __init__(self, served: Served) -> None:
        self.served = served

    async def read(self, request: Request, name: str | None, work: Callable[[Caller], Any]) -> Json:
        """What a reader may see; `name` is the job it is about, None if it is about many."""
        asked = partial(self._json, request, Role.READER, name, work)
        return Json(await self.served.at_length(asked))

    async def write(
        self,
        request: Request,
        role: Role,
        name: str | None,
        work: Callable[[Caller], Any],
        *,
        quick: bool = True,
    ) -> Json:
        """What takes that role; `quick`: all it takes is to write one job, if it is about one."""
        asked = partial(self._json, request, role, name, work)
        one = quick and name is not None
        return Json(await (self.served.write(asked) if one else self.served.at_length(asked)))

    def admit(self, request: Request, role: Role, name: str | None = None) -> Caller:
        """Who calls; raises UnauthenticatedError and PermissionDeniedError. May ask the database."""
        caller = self.served.admit(authorization_of(request))
        request.state.actor = caller.name
        check(caller, role, name)
        return caller

    def _json(
        self, request: Request, role: Role, name: str | None, work: Callable[[Caller], Any]
    ) -> bytes:
        said = encode(work(self.admit(request, role, name)))
        return self.served.ledger.reveal_text(said)


def about_of(caller: Caller, request: Request, said: dict[str, Any]) -> About:
    """What is known of an event besides its data: the token's name is its actor.

    Raises InvalidFieldError for what cannot be said.
    """
    about: About = {}
    if caller.name is not None:
        about["actor"] = caller.name
    if (time := said.get("occurred_time")) is not None:
        about["occurred_time"] = parse_time(time, datetime.now(UTC), "occurredTime")
    if (request_id := parse_text("requestId", said.get("request_id"))) is not None:
        about["request_id"] = request_id
    trace_parent = parse_trace_parent(said.get("trace_parent")) or request.state.trace_parent
    if trace_parent is not None:
        about["trace_parent"] = trace_parent
    return about
