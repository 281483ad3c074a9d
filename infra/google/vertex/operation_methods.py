"""The methods of operations (get, list, wait, cancel, delete), for a location and for each of its jobs."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from jobledger.domain.errors import InvalidFieldError, VersionConflictError
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.google.vertex import operations
from jobledger.infra.google.vertex.operation_filters import matches, parse_operation_filter
from jobledger.infra.google.vertex.operations import Histories, Operation, OperationNotFoundError
from jobledger.infra.google.vertex.resources import RESOURCES
from jobledger.infra.google.vertex.versions import V1, Version
from jobledger.infra.google.wire.calls import Call, Face, Method
from jobledger.infra.google.wire.paging import cursor_of, token_of
from jobledger.infra.google.wire.resources import bare
from jobledger.infra.google.wire.scalars import Refused, duration
from jobledger.infra.google.wire.status import CODES
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated

READ_OPERATIONS: Final = sql.load(__package__, "read_operations")
DEFAULT_PAGE_SIZE: Final = 100
MAX_PAGE: Final = 1_000
TYPES: Final = ("Created", "Deleted", "Updating", "LabelsChanged")
"""Types of events that may begin an operation."""
FIRST_PAUSE_SECONDS: Final = 0.05
MAX_PAUSE_SECONDS: Final = 0.5
DEFAULT_WAIT_SECONDS: Final = 10.0
PATHS: Final = ("v1", "v1beta1", "v1beta", "ui")
"""Paths under which clients poll, whichever version they call otherwise."""


async def get(call: Call) -> JsonObject:
    """Gets an operation (operations.get)."""
    return operations.as_json(*await _find(call))


async def wait(call: Call) -> JsonObject:
    """Waits for an operation (operations.wait), for `timeout` or until shortly before the server's deadline."""
    until = time.monotonic() + min(_timeout(call), call.wait_seconds)
    pause = FIRST_PAUSE_SECONDS
    while True:
        found = operations.as_json(*await _find(call))
        left = until - time.monotonic()
        if found["done"] or left <= 0:
            return found
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, MAX_PAUSE_SECONDS)


async def cancel(call: Call) -> JsonObject:
    """Cancels a running update with the error CANCELLED (operations.cancel); a finished operation stays as it is."""
    operation, histories = await _find(call)
    if operations.outcome_of(operation, histories).result is None:
        actor = call.about.get("actor")
        by = "" if actor is None else f" of {actor}"
        error = {
            "code": CODES["CANCELLED"].number,
            "message": f"the operation was cancelled on request{by}",
        }
        await call.ledger.updated(operation.names[0], None, error, **call.about)
    return {}


async def delete(call: Call) -> JsonObject:
    """Deletes an operation (operations.delete); its effect on the job continues."""
    operation, _ = await _find(call)
    stream = f"{operation.parent}/operations/{operation.number}"
    own = await operations.records(call, stream)
    try:
        await operations.record(call, stream, len(own) + 1, operations.DELETED, {})
    except VersionConflictError:
        raise OperationNotFoundError(operation.name) from None
    return {}


async def list_operations(version: Version, call: Call) -> JsonObject:
    """Lists operations, the latest first (operations.list)."""
    tree = parse_operation_filter(call.query.get("filter", ""))
    size = call.page_size(DEFAULT_PAGE_SIZE, MAX_PAGE)
    parent, job = _parent(call), _job(call)
    query = ("operations", job or parent, call.query.get("filter", ""))
    before = await call.ledger.run(partial(_before, call, query))
    found: list[tuple[int, JsonObject]] = []
    while before and len(found) <= size:
        rows = await call.ledger.run(partial(_read, call, parent, job, before, size + 1))
        before = rows[-1].position if len(rows) > size else 0
        for event in rows:
            shown = await _of_row(call, event, version)
            if shown is not None and matches(tree, shown):
                found.append((event.position, shown))
    token = None
    if len(found) > size:
        offset = found[size - 1][0]
        token = await call.ledger.run(partial(token_of, call, query, offset=offset))
    page = [shown for _, shown in found[:size]]
    return bare({"operations": page, "nextPageToken": token})


def _before(call: Call, query: Sequence[str]) -> int:
    """Returns the position before which the operations of a page began."""
    cursor = cursor_of(call, *query)
    return call.reader.size() + 1 if cursor is None else cursor.offset


def _read(call: Call, parent: str, job: str | None, before: int, limit: int) -> list[RecordedEvent]:
    asked = {
        "from": f"{parent}/", "until": f"{parent}0", "parent": parent, "job": job, "before": before,
        "types": list(TYPES), "recorded": operations.RECORDED, "deleted": operations.DELETED,
        "limit": limit,
    }  # fmt: skip
    with translated(), call.reader.pool.connection() as connection:
        rows = connection.execute(READ_OPERATIONS, asked, binary=True).fetchall()
    return [RecordedEvent(*row) for row in rows]


async def _of_row(call: Call, event: RecordedEvent, version: Version) -> JsonObject | None:
    if event.schema == 0:
        operation = operations.of_record(event, version)
        histories = {name: await call.history(name) for name in operation.names}
        return operations.as_json(operation, histories)
    if event.name.split("/")[-2] not in RESOURCES:
        return None
    history = await call.history(event.name)
    begun = operations.of_event(event, history, version)
    return None if begun is None else operations.as_json(begun, {event.name: history})


async def _find(call: Call) -> tuple[Operation, Histories]:
    """Finds the operation that a call names; if the path names a job, the operation must be about that job."""
    parent, job = _parent(call), _job(call)
    operation, histories = await operations.find(call, parent, call.ids[-1])
    if job is not None and job not in operation.names:
        raise OperationNotFoundError(f"{job}/operations/{call.ids[-1][:40]}")
    return operation, histories


def _timeout(call: Call) -> float:
    text = call.query.get("timeout")
    if text is None:
        return DEFAULT_WAIT_SECONDS
    try:
        seconds = float(str(duration(text, 0)).removesuffix("s"))
    except Refused as refused:
        raise InvalidFieldError("timeout", refused.why) from None
    if seconds < 0:
        raise InvalidFieldError("timeout", f"{text} is negative; give 0s or more")
    return seconds


def _parent(call: Call) -> str:
    return f"projects/{call.ids[0]}/locations/{call.ids[1]}"


def _job(call: Call) -> str | None:
    """Returns the job whose operations are requested; None for those of the location."""
    return f"{_parent(call)}/{call.collection}/{call.ids[2]}" if call.collection else None


def _of_collection(collection: str, face: Face) -> Face:
    """Returns the same method for the operations of one job of that collection."""

    async def answer(call: Call) -> JsonObject:
        return await face(call._replace(collection=collection))

    return answer


def methods(version: Version, path: str) -> list[Method]:
    """Returns the methods of operations under one path; `version` is the version of the types in lists."""
    found = _methods("operations", f"{path}/projects/*/locations/*/operations", "", version)
    for resource in RESOURCES.values() if path != "ui" else ():
        if resource.has_operations:
            shape = f"{path}/projects/*/locations/*/{resource.collection}/*/operations"
            found += _methods(f"{resource.service}.operations", shape, resource.collection, version)
    return found


def _methods(name: str, shape: str, collection: str, version: Version) -> list[Method]:
    listed = frozenset({"filter", "pageSize", "pageToken", "returnPartialSuccess"})
    listing = partial(list_operations, version)
    return [
        Method(f"{name}.{verb}", http, shape + suffix, _of_collection(collection, face), query)
        for verb, http, suffix, face, query in (
            ("get", "GET", "/*", get, frozenset[str]()),
            ("wait", "POST", "/*:wait", wait, frozenset({"timeout"})),
            ("cancel", "POST", "/*:cancel", cancel, frozenset[str]()),
            ("list", "GET", "", listing, listed),
            ("delete", "DELETE", "/*", delete, frozenset[str]()),
        )
    ]


def all_methods(versions: Sequence[Version]) -> list[Method]:
    """Returns the methods of operations under every path that clients poll."""
    by_path = {version.path: version for version in versions}
    return [m for path in PATHS for m in methods(by_path.get(path, V1), path)]
