"""Long-running operations (AIP-151): the event that began each, and its result.

Most operations are events of their job: its deletion, the begin of an update, a change of the
labels of a resource that can be patched, the creation of a notebook execution. Such an operation is
named by the event's position, `projects/p/locations/l/operations/4711`. Operations without such an event
(a batch, a patch that changes nothing) are recorded in their own streams, under random numbers.
Other positions are not operations. Whether an operation is done follows from the history of its jobs.
The id of an operation of v1beta1 ends in the version, `4711-v1beta1`, and answers use its types.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from jobledger.domain.errors import JobNotFoundError, LedgerError
from jobledger.domain.job import Job, fold
from jobledger.domain.states import ENDINGS
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import kind_of
from jobledger.infra.eventstore.stored_event import RecordedEvent, foreign_row
from jobledger.infra.eventstore.writes.decided_write import DecidedWrite
from jobledger.infra.google.vertex.resources import RESOURCES, Resource, shown
from jobledger.infra.google.vertex.versions import BY_PACKAGE, V1, Version
from jobledger.infra.google.wire.calls import Call
from jobledger.infra.google.wire.resources import time_text
from jobledger.infra.google.wire.status import CODES

EMPTY: Final = {"@type": "type.googleapis.com/google.protobuf.Empty"}
RECORDED: Final = "OperationBegun"
DELETED: Final = "OperationDeleted"
MAX_POSITION_DIGITS: Final = 18
NUMBER_DIGITS: Final = 19
"""The number of digits of a recorded operation's number: more than any position has."""
Histories = Mapping[str, Sequence[RecordedEvent]]
"""The events of an operation's jobs, by the job's name."""


class OperationNotFoundError(JobNotFoundError):
    """The operation does not exist, or was deleted."""

    def __init__(self, name: str) -> None:
        LedgerError.__init__(self, f"there is no operation {name}")
        self.name = name


class Operation(NamedTuple):
    """A long-running operation."""

    parent: str
    """The location, `projects/p/locations/l`."""
    number: str
    verb: str
    """Create, Update, Delete, BatchCancel or BatchDelete."""
    names: tuple[str, ...]
    """The jobs it is about."""
    position: int
    """The position of the event that began it, or of the last event when it was recorded."""
    begin_time: datetime
    version: Version
    is_recorded: bool = False
    """Whether it has its own stream; it was then done at once."""

    @property
    def name(self) -> str:
        """Its resource name."""
        package = self.version.package
        marked = self.number if package == V1.package else f"{self.number}-{package}"
        return f"{self.parent}/operations/{marked}"


class Outcome(NamedTuple):
    """The result of an operation: `result` has `response` or `error`; None while it is not done."""

    result: JsonObject | None
    time: datetime


def of_event(
    event: RecordedEvent, history: Sequence[RecordedEvent], version: Version
) -> Operation | None:
    """Returns the operation that the event began; None if it began none."""
    verb = _verb(event, history)
    if verb is None:
        return None
    parent = event.name.rsplit("/", 2)[0]
    return Operation(
        parent,
        str(event.position),
        verb,
        (event.name,),
        event.position,
        event.recorded_time,
        version,
    )


def of_record(record: RecordedEvent, version: Version) -> Operation:
    """Returns an operation that was recorded in its own stream."""
    fields = record.json
    parent, _, number = record.name.rsplit("/", 2)
    names = tuple(fields["names"])
    begun = fields["position"], record.recorded_time
    return Operation(parent, number, fields["verb"], names, *begun, version, is_recorded=True)


def _verb(event: RecordedEvent, history: Sequence[RecordedEvent]) -> str | None:
    resource = _resource_of(event.name)
    if resource is None or not event.schema:
        return None
    methods = resource.methods.split()
    match event.type:
        case "Created" if resource.created_by_operation:
            return "Create"
        case "Deleted" if "delete" in methods:
            return "Delete"
        case "Updating" if "patch" in methods:
            return "Update"
        case "LabelsChanged" if "patch" in methods and not _follows_update(event, history):
            return "Update"
    return None


def _resource_of(name: str) -> Resource | None:
    return RESOURCES.get(kind_of(name)) if "/locations/" in name else None


def _follows_update(event: RecordedEvent, history: Sequence[RecordedEvent]) -> bool:
    """Whether a change of labels belongs to an update that had just succeeded, and is not a separate patch."""
    before = next((e for e in history if e.version == event.version - 1), None)
    return (
        before is not None
        and before.type == "Updated"
        and before.recorded_time == event.recorded_time
    )


def as_json(operation: Operation, histories: Histories) -> JsonObject:
    """Returns the google.longrunning.Operation."""
    outcome = outcome_of(operation, histories)
    times = {
        "createTime": time_text(operation.begin_time),
        "updateTime": time_text(outcome.time),
    }
    type_ = operation.version.type_prefix + _metadata(operation)
    return {
        "name": operation.name,
        "metadata": {"@type": type_, "genericMetadata": times},
        "done": outcome.result is not None,
        **(outcome.result or {}),
    }


def _metadata(operation: Operation) -> str:
    match operation.verb:
        case "Delete" | "BatchDelete":
            return "DeleteOperationMetadata"
        case "BatchCancel":
            return "BatchCancelPipelineJobsOperationMetadata"
    message = RESOURCES[kind_of(operation.names[0])].message
    return f"{operation.verb}{message}OperationMetadata"


def outcome_of(operation: Operation, histories: Histories) -> Outcome:
    """Returns the result of the operation so far."""
    position, time = operation.position, operation.begin_time
    match operation.verb:
        case "Delete":
            return Outcome({"response": EMPTY}, time)
        case "BatchCancel" | "BatchDelete":
            jobs = [_resource(operation, name, histories, position) for name in operation.names]
            type_ = f"{operation.version.type_prefix}{operation.verb}PipelineJobsResponse"
            return Outcome({"response": {"@type": type_, "pipelineJobs": jobs}}, time)
    (name,) = operation.names
    began = next((e for e in histories[name] if e.position == position), None)
    if began is not None and began.type == "Updating" and not operation.is_recorded:
        later = [e for e in histories[name] if e.version > began.version]
        ending = next((e for e in later if e.type == "Updated" or e.type in ENDINGS), None)
        if ending is None:
            return Outcome(None, time)
        time = ending.recorded_time
        if (error := _failure(ending)) is not None:
            return Outcome({"error": error}, time)
        # The requested labels were recorded with the end of the update.
        position = next(
            (e.position for e in later if _follows_update(e, (ending,))), ending.position
        )
    message = RESOURCES[kind_of(name)].message
    job = _resource(operation, name, histories, position)
    return Outcome({"response": {"@type": operation.version.type_prefix + message, **job}}, time)


def _resource(operation: Operation, name: str, histories: Histories, position: int) -> JsonObject:
    """Returns the job as of that position."""
    events = (event.event for event in histories[name] if event.position <= position)
    job = fold(Job(name=name), events)
    return shown(RESOURCES[kind_of(name)], job, operation.version)


def _failure(ending: RecordedEvent) -> JsonObject | None:
    """Returns why the update failed; None if it did not."""
    if ending.type != "Updated":
        message = f"the job ended meanwhile: {ending.type}"
        return {"code": CODES["ABORTED"].number, "message": message}
    error = ending.json.get("error")
    return {"code": error["code"], "message": error["message"]} if error else None


async def begun(call: Call, name: str, verb: str, version: Version) -> JsonObject:
    """Returns the operation that the call has just begun on a job: the last one with that verb."""
    history = await call.history(name)
    found = (of_event(event, history, version) for event in reversed(history))
    operation = next(one for one in found if one is not None and one.verb == verb)
    return as_json(operation, {name: history})


async def without_event(
    call: Call, verb: str, names: Sequence[str], version: Version
) -> JsonObject:
    """Records a finished operation on these jobs that has no event of its own."""
    parent = names[0].rsplit("/", 2)[0]
    number = str(secrets.randbelow(9 * 10 ** (NUMBER_DIGITS - 1)) + 10 ** (NUMBER_DIGITS - 1))
    histories = {name: await call.history(name) for name in names}
    position = max(history[-1].position for history in histories.values())
    fields = {"verb": verb, "names": list(names), "position": position}
    stream = f"{parent}/operations/{number}"
    await record(call, stream, 1, RECORDED, fields)
    (written,) = await records(call, stream)
    return as_json(of_record(written, version), histories)


async def record(call: Call, stream: str, version: int, type_: str, fields: JsonObject) -> None:
    """Writes an event of an operation; raises VersionConflictError if another writer was first."""
    row = foreign_row(stream, version, type_, canonical.encode(fields), call.about.get("actor"))
    write = DecidedWrite([row], [])
    await call.ledger.writer.committer.submit([write])
    if write.error is not None:
        raise write.error


async def records(call: Call, stream: str) -> list[RecordedEvent]:
    """Returns the events of the operation itself; most have none."""
    return await call.ledger.run(partial(call.reader.feed.history, stream))


async def find(call: Call, parent: str, number: str) -> tuple[Operation, Histories]:
    """Returns the operation with that id, and the histories of its jobs; raises OperationNotFoundError."""
    bare, _, package = number.partition("-")
    version = BY_PACKAGE.get(package or V1.package)
    operation, histories = None, dict[str, list[RecordedEvent]]()
    if version is not None and bare.isascii() and bare.isdecimal() and len(bare) <= NUMBER_DIGITS:
        own = await records(call, f"{parent}/operations/{bare}")
        if all(event.type != DELETED for event in own):
            operation, histories = await _found(call, parent, bare, own, version)
    if operation is None or operation.name != f"{parent}/operations/{number}":
        raise OperationNotFoundError(f"{parent}/operations/{number[:40]}")
    return operation, histories


async def _found(
    call: Call, parent: str, number: str, own: Sequence[RecordedEvent], version: Version
) -> tuple[Operation | None, dict[str, list[RecordedEvent]]]:
    if own:
        operation = of_record(own[0], version)
        return operation, {name: await call.history(name) for name in operation.names}
    event = None
    if len(number) <= MAX_POSITION_DIGITS:
        event = await call.ledger.event_at(int(number))
    if event is None or not event.name.startswith(f"{parent}/"):
        return None, {}
    if not event.schema or _resource_of(event.name) is None:
        return None, {}
    history = await call.history(event.name)
    return of_event(event, history, version), {event.name: history}
