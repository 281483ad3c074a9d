"""Receiving OpenLineage events: `POST /api/v1/lineage` and `/api/v1/lineage/batch`, without FastAPI.

Each event of a run is a separate request, so the overhead of a framework would matter here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs

from jobledger.domain.errors import InvalidFieldError, LedgerError
from jobledger.domain.values.canonical import JsonObject, json_type
from jobledger.infra.access.required import LINEAGE, REQUIRED
from jobledger.infra.access.tokens import Caller, check
from jobledger.infra.eventstore.json_view import encode
from jobledger.infra.google.wire.status import status_of
from jobledger.infra.http.middleware import send_json
from jobledger.infra.http.native.bodies import load
from jobledger.infra.http.types import Scope, Send
from jobledger.infra.privacy.envelope import NotEncryptedError
from jobledger.infra.serving.context import ServerContext
from jobledger.infra.sources.openlineage.datasets import DatasetFact, DatasetWrite
from jobledger.infra.sources.openlineage.event import LineageEvent, parse_event
from jobledger.infra.sources.openlineage.history import reports_of
from jobledger.infra.sources.openlineage.writing import (
    LineageWrite,
    count_recorded,
    late_writes,
    observed,
)

PATH: Final = "/api/v1/lineage"
BATCH_PATH: Final = f"{PATH}/batch"
MAX_EVENTS: Final = 1_000
RETRIABLE: Final = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"})
Item = LineageWrite | DatasetFact
"""What an event is recorded as: reports on a job, or a fact of a dataset."""
Outcome = int | LedgerError
"""How many events were written, or the error."""
_Counts = dict[str | None, int]
"""How many events were written for each request id."""


def serves(method: str, path: str) -> bool:
    """Whether `answer` serves the request."""
    return method == "POST" and path in RECEIVE


async def answer(server: ServerContext, scope: Scope, send: Send) -> None:
    """Answers a request; raises the error that refuses it."""
    await send_json(send, 200, encode(await RECEIVE[scope["path"]](server, scope)))


async def receive_event(server: ServerContext, scope: Scope) -> JsonObject:
    """Records the event in the body of a request.

    Args:
        server: The server.
        scope: The request, whose body was received.

    Returns:
        The name of the job or of the dataset's stream, and how many events were written.

    Raises:
        LedgerError: The event is refused, or cannot be recorded now.
    """
    receiver = await _Receiver.of(server, scope)
    body = scope["state"]["body"]
    item = receiver.item(parse_event(load(body), receiver.now))
    (outcome,) = await receiver.record([item])
    if isinstance(outcome, LedgerError):
        raise outcome
    _forward(server, body)
    if isinstance(item, DatasetFact):
        return {"dataset": item.stream, "events": outcome}
    return {"job": item.name, "events": outcome}


async def receive_batch(server: ServerContext, scope: Scope) -> JsonObject:
    """Records up to 1,000 events, in the order of their times.

    Args:
        server: The server.
        scope: The request, whose body was received.

    Returns:
        The outcomes, in the form in which OpenLineage's API answers a batch.

    Raises:
        LedgerError: The caller or the body is refused; a refused event does not affect the others.
    """
    receiver = await _Receiver.of(server, scope)
    given = _items(scope["state"]["body"])
    outcomes = await receiver.record([receiver.item_or_error(each) for each in given])
    for each, outcome in zip(given, outcomes, strict=True):
        if not isinstance(outcome, LedgerError):
            _forward(server, encode(each))
    return _summary(outcomes)


RECEIVE: Final[dict[str, Callable[[ServerContext, Scope], Awaitable[JsonObject]]]] = {
    PATH: receive_event,
    BATCH_PATH: receive_batch,
}


def project_of_caller(server: ServerContext, caller: Caller, given: str | None, action: str) -> str:
    """Returns the given project, or else the token's, or the default one; raises PermissionDeniedError."""
    project = given or caller.project or server.project
    check(caller, REQUIRED[action], f"projects/{project}/jobs/x")
    return project


class _Receiver:
    """Records the events of one request."""

    def __init__(self, server: ServerContext, caller: Caller, project: str) -> None:
        self._server = server
        self._actor = caller.name or "openlineage"
        self._project = project
        self._find = server.ledger.writer.committer.cache.find
        self.now = datetime.now(UTC)

    @classmethod
    async def of(cls, server: ServerContext, scope: Scope) -> _Receiver:
        """Raises UnauthenticatedError or PermissionDeniedError."""
        state, given = scope["state"], None
        caller = await server.admit(state["headers"].get(b"authorization", b"").decode("latin-1"))
        state["actor"] = caller.name
        if scope["query_string"]:
            given = parse_qs(scope["query_string"].decode("latin-1")).get("project", [None])[-1]
        return cls(server, caller, project_of_caller(server, caller, given, LINEAGE))

    def item(self, event: LineageEvent) -> Item:
        """Returns what an event is recorded as; raises InvalidFieldError."""
        if event.job is None:
            return DatasetFact.of(event, self._project)
        return LineageWrite(reports_of(event, self._project, self._actor), self._find)

    def item_or_error(self, given: Any) -> Item | LedgerError:
        """Returns the same, or the error of a malformed event."""
        try:
            return self.item(parse_event(given, self.now))
        except LedgerError as error:
            return error

    async def record(self, items: Sequence[Item | LedgerError]) -> list[Outcome]:
        """Records all items, those of jobs in the order of their times; returns the outcome of each."""
        given = [item for item in items if isinstance(item, LineageWrite)]
        writes = sorted(given, key=lambda write: write.reports.time)
        facts = [item for item in items if isinstance(item, DatasetFact)]
        of_datasets = DatasetWrite(facts, self._actor)
        async with self._server.writers:
            if writes:
                await self._server.ledger.writer.committer.submit(writes)
            if late := late_writes(writes):
                await self._server.ledger.writer.committer.submit(late)
            if facts:
                await self._server.ledger.submit(of_datasets)
        again = await self._recorded_before([each for each in writes if each.used_for is not None])
        return [await self._outcome(item, of_datasets, again) for item in items]

    async def _recorded_before(self, writes: Sequence[LineageWrite]) -> _Counts:
        """Returns how many events were written for each of these when it was first received."""
        if not writes:
            return {}
        ledger = self._server.ledger
        counts = await ledger.run(partial(count_recorded, ledger.ledger.reader, writes))
        return dict(zip((write.request_id for write in writes), counts, strict=True))

    async def _outcome(
        self, item: Item | LedgerError, of_datasets: DatasetWrite, again: _Counts
    ) -> Outcome:
        if isinstance(item, LedgerError):
            return item
        if isinstance(item, DatasetFact):
            return int(item in of_datasets.written)
        if item.placed is not None:
            return len(item.rows)
        if item.used_for is not None:
            return again[item.request_id]
        if isinstance(item.error, NotEncryptedError):
            return await self._encrypted(item)
        if isinstance(item.error, LedgerError):
            return item.error
        assert item.error is not None
        raise item.error

    async def _encrypted(self, write: LineageWrite) -> Outcome:
        """Records an event with personal values, which the writer encrypts."""
        async with self._server.writers:
            outcomes = await self._server.ledger.report_many(observed(write.reports))
        events = 0
        for outcome in outcomes:
            if isinstance(outcome, LedgerError):
                return outcome
            events += len(outcome.events)
        return events


def _forward(server: ServerContext, event: bytes) -> None:
    if server.forwarder is not None:
        server.forwarder.put(event)


def _items(body: bytes) -> list[Any]:
    items = load(body)
    if not isinstance(items, list):
        raise InvalidFieldError("body", f"must be a list of events, not {json_type(items)}")
    if len(items) > MAX_EVENTS:
        raise InvalidFieldError("body", f"has {len(items)} events; send at most {MAX_EVENTS}")
    return items


def _summary(outcomes: Sequence[Outcome]) -> JsonObject:
    """Returns the answer of OpenLineage's API to a batch."""
    failed = [
        {
            "index": index,
            "reason": str(outcome),
            "retriable": status_of(outcome).code.name in RETRIABLE,
        }
        for index, outcome in enumerate(outcomes)
        if isinstance(outcome, LedgerError)
    ]
    retriable = sum(bool(each["retriable"]) for each in failed)
    return {
        "status": "partial_success" if failed else "success",
        "summary": {
            "received": len(outcomes),
            "successful": len(outcomes) - len(failed),
            "failed": len(failed),
            "retriable": retriable,
            "non_retriable": len(failed) - retriable,
        },
        "failed_events": failed,
    }
