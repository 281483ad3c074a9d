"""Long-running operations, read from the events that began them: nothing else is kept of them.

An operation is named by the position of its event, `projects/p/locations/l/operations/4711`.
It is done when its job's history says so, whoever asks, and however much later.
"""

from typing import Final

from jobledger.domain.errors import JobNotFoundError
from jobledger.domain.job import Job, fold
from jobledger.domain.states import ENDINGS
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.google.vertex.resources import RESOURCES, Resource, shown
from jobledger.infra.google.wire.calls import Call, Method
from jobledger.infra.google.wire.resources import time_text
from jobledger.infra.google.wire.status import CODES

TYPE: Final = "type.googleapis.com/google.cloud.aiplatform.v1."
EMPTY: Final = {"@type": "type.googleapis.com/google.protobuf.Empty"}
VERSIONS: Final = ("v1", "v1beta1", "ui")
"""Clients poll under all of these, whichever they call else."""


def operation(event: RecordedEvent, history: list[RecordedEvent]) -> JsonObject:
    """The google.longrunning.Operation that the event began; `history` is its job's."""
    parent, collection, _ = event.name.rsplit("/", 2)
    resource = RESOURCES[collection]
    times = {
        "createTime": time_text(event.recorded_time),
        "updateTime": time_text(history[-1].recorded_time),
    }
    return {
        "name": f"{parent}/operations/{event.position}",
        "metadata": {"@type": TYPE + _metadata(event, resource), "genericMetadata": times},
        **_outcome(event, history, resource),
    }


async def get(call: Call) -> JsonObject:
    """As it is now, also for `wait`: a caller that wants to wait longer asks again, as the API allows."""
    project, location, number = call.ids
    parent = f"projects/{project}/locations/{location}"
    event = await _event(call, number)
    if event is None or not event.name.startswith(f"{parent}/"):
        raise JobNotFoundError(f"{parent}/operations/{number[:40]}")
    return operation(event, await call.history(event.name))


async def cancel(call: Call) -> JsonObject:
    """Best effort, as the API says: what was begun here is over, or is a worker's to end."""
    await get(call)
    return {}


async def _event(call: Call, number: str) -> RecordedEvent | None:
    if not (number.isascii() and number.isdecimal() and len(number) <= 18):
        return None
    event = await call.ledger.event_at(int(number))
    if event is None:
        return None
    return event if event.name.split("/")[-2] in RESOURCES else None


def _metadata(event: RecordedEvent, resource: Resource) -> str:
    if event.type == "Deleted":
        return "DeleteOperationMetadata"
    verb = "Create" if event.type in {"Created", "Preparing"} else "Update"
    return f"{verb}{resource.message}OperationMetadata"


def _outcome(event: RecordedEvent, history: list[RecordedEvent], resource: Resource) -> JsonObject:
    """`done` with a response or an error, or that it is not done yet."""
    if event.type == "Deleted":
        return {"done": True, "response": EMPTY}
    until = event
    if event.type == "Updating":
        later = (e for e in history if e.version > event.version)
        ending = next((e for e in later if e.type == "Updated" or e.type in ENDINGS), None)
        if ending is None:
            return {"done": False}
        if (error := _failure(ending)) is not None:
            return {"done": True, "error": error}
        until = ending
    job = fold(Job(name=event.name), (e.event for e in history if e.version <= until.version))
    said = shown(resource, job)
    return {"done": True, "response": {"@type": TYPE + resource.message, **said}}


def _failure(ending: RecordedEvent) -> JsonObject | None:
    """Why the update came to nothing; None if it did not."""
    if ending.type != "Updated":
        message = f"the job ended meanwhile: {ending.type}"
        return {"code": CODES["ABORTED"].number, "message": message}
    error = ending.json.get("error")
    return {"code": error["code"], "message": error["message"]} if error else None


_ONE: Final = "projects/*/locations/*/operations"
_LIST: Final = frozenset({"filter", "pageSize", "pageToken", "returnPartialSuccess"})
METHODS: Final = [
    method
    for version in VERSIONS
    for method in (
        Method("operations.get", "GET", f"{version}/{_ONE}/*", get),
        Method("operations.wait", "POST", f"{version}/{_ONE}/*:wait", get),
        Method("operations.cancel", "POST", f"{version}/{_ONE}/*:cancel", cancel),
        Method("operations.list", "GET", f"{version}/{_ONE}", None, _LIST),
        Method("operations.delete", "DELETE", f"{version}/{_ONE}/*", None),
    )
]
