"""Requests to a server and the parsing of their answers, without the sending."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote, urlencode
from uuid import uuid4

from jobledger.domain.commands import Command, JobCommand
from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import Created
from jobledger.domain.reports import encoded, reported_type
from jobledger.domain.values import canonical
from jobledger.domain.values.arguments import parse_count
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Clock, Moment
from jobledger.domain.values.names import check_zone, parse_name
from jobledger.infra.client import parsing
from jobledger.infra.client.feed import EventsPage
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.eventstore.verbs import About
from jobledger.infra.eventstore.write_path import Recorded
from jobledger.infra.history.tree import Tree
from jobledger.infra.read.answers import Counts, Page
from jobledger.infra.retention.holds import Hold
from jobledger.infra.retention.rules import RetentionRule, rule_of
from pydantic.alias_generators import to_camel

Answer = TypeVar("Answer")
Given = str | datetime | Moment | None
"""A moment, as `Ledger.get` takes it; None is now."""
ROOT: Final = "/ledger/v1"
MAX_QUERY_BYTES: Final = 60_000
"""The longest query; servers take 64 KiB of a request besides its body."""
COMMANDS: Final = {
    "CreateJob": "create",
    "CancelJob": "cancel",
    "PauseJob": "pause",
    "ResumeJob": "resume",
    "UpdateJob": "update",
    "ChangeConfig": "changeConfig",
    "RetryJob": "retry",
    "ChangeLabels": "changeLabels",
    "ChangePolicy": "changePolicy",
    "DeleteJob": "delete",
}
"""The verb of each command's route."""


class Exchange(NamedTuple, Generic[Answer]):
    """One request, and what its answer means."""

    method: str
    path: str
    read: Callable[[Any], Answer]
    query: Mapping[str, str] = {}
    body: JsonObject | None = None

    @property
    def content(self) -> bytes | None:
        """The body as JSON; raises InvalidFieldError if JSON cannot represent it."""
        return None if self.body is None else canonical.encode(self.body)

    @property
    def params(self) -> Mapping[str, str]:
        """The query; raises InvalidFieldError if it is too long for a request."""
        if (length := len(urlencode(self.query))) > MAX_QUERY_BYTES:
            longest = max(self.query, key=lambda key: len(self.query[key]))
            why = f"makes a query of {length} bytes; a request has at most {MAX_QUERY_BYTES}"
            raise InvalidFieldError(longest, why)
        return self.query


def write(name: str, request: JobCommand | Data, about: About) -> Exchange[Recorded]:
    """A command or a report. Sent twice it is written once: one without a request id is given one."""
    if isinstance(request, Command):
        verb = COMMANDS[type(request).__name__]
        body = {to_camel(f): v for f, v in request.model_dump(exclude_defaults=True).items()}
    else:
        type_ = reported_type(request)
        verb = type_[0].lower() + type_[1:]
        body = {"data": encoded(request)[0].json_object()}
        if isinstance(request, Created):
            # A server takes no report of it: to create is to ask.
            verb, body = "create", body["data"]
    body |= _about(about)
    path = f"{ROOT}/{quote(parse_name(name))}:{verb}"
    return Exchange("POST", path, parsing.recorded_of, body=body)


def _about(about: About) -> JsonObject:
    """Returns the fields of a request besides the data; the token determines the actor."""
    rest: dict[str, Any] = {**about}
    if rest.pop("actor", None) is not None:
        raise InvalidFieldError(
            "actor", "is the token's name where a server is asked: leave it out"
        )
    time = rest.pop("occurred_time", None)
    if time is not None:
        rest["occurred_time"] = time_text(check_zone("occurred_time", time))
    rest.setdefault("request_id", str(uuid4()))
    return {to_camel(field): value for field, value in rest.items() if value is not None}


def reports(items: Iterable[JsonObject]) -> Exchange[list[JsonObject]]:
    """Reports by the batch, each with a request id of its own; what came of each, in their order."""
    given = [{"requestId": str(uuid4()), **item} for item in items]
    return Exchange(
        "POST",
        f"{ROOT}/reports:batch",
        lambda answer: list(answer["results"]),
        body={"reports": given},
    )


def heartbeat(name: str, run_id: str, seconds: float) -> Exchange[None]:
    """Returns the request of a heartbeat; 0 seconds mean that none follows."""
    path = f"{ROOT}/{quote(parse_name(name))}:heartbeat"
    body = {"runId": run_id, "heartbeatSeconds": seconds}
    return Exchange("POST", path, lambda _: None, body=body)


def hold(name: str, reason: str, *, pin: bool, request_id: str | None) -> Exchange[int]:
    """Places a legal hold or a pin; returns the position of its record."""
    return _keeping(f"{quote(parse_name(name))}:hold", {"reason": reason, "pin": pin}, request_id)


def release(name: str, reason: str, *, pin: bool, request_id: str | None) -> Exchange[int]:
    """Releases a legal hold or a pin; returns the position of its record."""
    return _keeping(
        f"{quote(parse_name(name))}:release", {"reason": reason, "pin": pin}, request_id
    )


def holds(name: str | None) -> Exchange[list[Hold]]:
    """Asks for the legal holds and pins of a job, or of all."""
    query = {} if name is None else {"name": parse_name(name)}
    return Exchange("GET", f"{ROOT}/holds", parsing.holds_of, query)


def retention_rules() -> Exchange[list[RetentionRule]]:
    """Asks for all retention rules."""
    return Exchange(
        "GET", f"{ROOT}/retentionRules", lambda body: [rule_of(rule) for rule in body["rules"]]
    )


def set_retention_rule(rule: RetentionRule, request_id: str | None) -> Exchange[int]:
    """Makes or replaces a retention rule; returns the position of its record."""
    return _keeping("retentionRules:set", rule.json(), request_id)


def drop_retention_rule(name: str, request_id: str | None) -> Exchange[int]:
    """Drops a retention rule; returns the position of its record."""
    return _keeping("retentionRules:drop", {"name": name}, request_id)


def _keeping(path: str, body: JsonObject, request_id: str | None) -> Exchange[int]:
    given = body | {"requestId": request_id or str(uuid4())}
    return Exchange("POST", f"{ROOT}/{path}", lambda answer: int(answer["position"]), body=given)


def job(name: str, as_of: Given, clock: Clock | str | None) -> Exchange[Any]:
    """A job, now or as of a moment."""
    query = at(as_of, clock)
    return Exchange("GET", f"{ROOT}/{quote(parse_name(name))}", parsing.job_of, query)


def page(
    filter: str, size: int, token: str, order_by: str, as_of: Given, clock: Clock | str | None
) -> Exchange[Page]:
    """Returns some jobs."""
    query = {"filter": filter, "pageToken": token, "orderBy": order_by}
    query |= {"pageSize": str(parse_count("page_size", size))} if size else {}
    return Exchange("GET", f"{ROOT}/jobs", parsing.page_of, query | at(as_of, clock))


def count(by: str, filter: str, as_of: Given, clock: Clock | str | None) -> Exchange[Counts]:
    """How many jobs there are of each value of a field."""
    query = {"by": by, "filter": filter} | at(as_of, clock)
    return Exchange("GET", f"{ROOT}/jobs:count", parsing.counts_of, query)


def moment(as_of: Given, clock: Clock | str | None) -> Exchange[Moment]:
    """Asks for a moment, pinned to a position."""
    return Exchange("GET", f"{ROOT}/moment", parsing.moment_of, at(as_of, clock))


def history(name: str, after: int) -> Exchange[tuple[list[RecordedEvent], int | None]]:
    """Events of a job after a version, and the version to go on after if there are more."""
    path = f"{ROOT}/{quote(parse_name(name))}/events"
    return Exchange(
        "GET", path, lambda answer: (parsing.events_of(answer), answer.get("nextAfter")), {"after": str(after)}
    )  # fmt: skip


def tree(name: str, as_of: Given, clock: Clock | str | None) -> Exchange[Tree]:
    """A job with the jobs below it."""
    asked = job(name, as_of, clock)
    return Exchange(
        "GET", f"{asked.path}:tree", lambda answer: parsing.tree_of(answer["tree"]), asked.query
    )


def events(after: int, size: int) -> Exchange[EventsPage]:
    """Events of the feed after a position."""
    query = {"after": str(parse_count("after", after)), "pageSize": str(size)}
    return Exchange(
        "GET",
        f"{ROOT}/events",
        lambda answer: EventsPage(
            parsing.events_of(answer), answer["lastPosition"], answer.get("prunedPositions", [])
        ),
        query,
    )


def at(as_of: Given, clock: Clock | str | None) -> dict[str, str]:
    """The parameters of a moment."""
    query: dict[str, str] = {}
    if isinstance(as_of, datetime):
        query["asOf"] = time_text(check_zone("as_of", as_of)) or ""
    elif as_of is not None:
        query["asOf"] = str(as_of)
    if clock is not None:
        query["clock"] = clock.value if isinstance(clock, Clock) else clock
    return query
