"""What can happen to a job: one class of data for each event type, and the event that carries it.

An event's stored name is the name of its data class, with a schema number: both
only ever gain versions. `UPCASTERS` turn data stored under an older schema into
today's. Fields the ledger has no meaning for are kept as they were given.

A late report that was put where it happened (see order.py) is stored as the event it
reports, with a `Placement` in its data. Its schema number is the event's own plus PLACED.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, NamedTuple

from jobledger.domain.data import (
    MAX_DATA_BYTES,
    PLACED,
    PLACED_KEY,
    Data,
    Error,
    Labels,
    parse,
)
from jobledger.domain.errors import InvalidFieldError, UnknownEventTypeError
from jobledger.domain.run_events import RUN_EVENTS, RunEvent
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

MAX_RUN_ID: Final = 256
MAX_ATTEMPT: Final = 1_000_000
"""The greatest number that a report can name an attempt by."""


def _as_text(value: object) -> object:
    """A number is an id, too."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


AttemptsBegun = Annotated[int, Field(ge=0, le=MAX_ATTEMPT)]
RunId = Annotated[
    Annotated[str, Field(min_length=1, max_length=MAX_RUN_ID)] | None, BeforeValidator(_as_text)
]
DECIDED: Final = frozenset({"attempts_begun", "inferred"})
"""Fields that the ledger fills in, and no reporter."""


class Created(Data):
    """The job exists. `inferred`: nobody said so, but something else was seen of it."""

    labels: Labels = {}
    spec: JsonObject = {}
    inferred: bool = Field(default=False, strict=True)


class Queued(Data):
    """It waits, at this place in the line if that is known, or was sent back to wait.

    `attempts_begun` is how many attempts further the job is with it, as the ledger decides, and
    `run_id` its reporter's id of the attempt; in Preparing, Started and Retried, too.
    """

    schema_number: ClassVar[int] = 2

    queue_position: int | None = Field(default=None, ge=0, strict=True)
    attempts_begun: AttemptsBegun = 0
    run_id: RunId = None


class Preparing(Data):
    """Something is being made ready for it."""

    schema_number: ClassVar[int] = 2

    attempts_begun: AttemptsBegun = 0
    run_id: RunId = None


class Started(Data):
    """It runs. `inferred`: nobody said so, but something else was seen of that attempt."""

    schema_number: ClassVar[int] = 2

    attempts_begun: AttemptsBegun = 0
    run_id: RunId = None
    inferred: bool = Field(default=False, strict=True)


class Updating(Data):
    """Its configuration is being changed while it runs; `spec` is what was asked for.

    `labels`, where given, are all its labels from the end of the update on, unless the update fails.
    """

    schema_number: ClassVar[int] = 2

    spec: JsonObject | None = None
    labels: Labels | None = None


class Updated(Data):
    """The change is over: `spec` is the new one whole, or `error` says why it stays the old one."""

    spec: JsonObject | None = None
    error: Error | None = None


class Paused(Data):
    """It was stopped, and can be resumed."""

    reason: str | None = None


class Resumed(Data):
    """It waits to run again after a pause."""


class Cancelling(Data):
    """Somebody asked for its end."""

    reason: str | None = None


class Cancelled(Data):
    """It ended because somebody asked for that."""

    reason: str | None = None


class Succeeded(Data):
    """It ended well."""

    output: JsonObject | None = None


class PartiallySucceeded(Data):
    """It ended, and some results may be missing."""

    output: JsonObject | None = None


class Failed(Data):
    """It ended badly; without an `error` the reason is not known."""

    error: Error | None = None


class Expired(Data):
    """Its time ran out before it ended. `lost`: its heartbeats stopped, and nobody saw how it ended."""

    schema_number: ClassVar[int] = 2

    reason: str | None = None
    lost: bool = Field(default=False, strict=True)


class Retried(Data):
    """A new attempt at a job that had ended."""

    schema_number: ClassVar[int] = 2

    reason: str | None = None
    attempts_begun: AttemptsBegun = 1
    run_id: RunId = None


class ProgressReported(Data):
    """How far it is; `output`, where given, is what it has made so far."""

    output: JsonObject | None = None


class LabelsChanged(Data):
    """All its labels from now on."""

    labels: Labels = {}


class Contradicted(Data):
    """A report that cannot be true of a job in that state, kept whole."""

    max_bytes: ClassVar[int] = MAX_DATA_BYTES + 1024

    report: str
    state: str
    data: JsonObject = {}


class ConfigChanged(Data):
    """Its configuration is another one from now on, without anything being stopped for it."""

    spec: JsonObject = {}


class PolicyChanged(Data):
    """Who may do what with it from now on: a google.iam.v1.Policy."""

    policy: JsonObject = {}


class Commented(Data):
    """Somebody said something of it; the event's actor is the author."""

    note: str = ""


class Deleted(Data):
    """It is gone from lists; its history is kept."""


EVENT_TYPES: Final[dict[str, type[Data]]] = {
    **{cls.__name__: cls for cls in Data.__subclasses__() if cls not in (RunEvent, *RUN_EVENTS)},
    **{cls.__name__: cls for cls in RUN_EVENTS},
}


class Placement(BaseModel):
    """Where a late report takes effect."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    after: int = Field(ge=1)
    """The version of the event that it follows in valid time."""
    latest: bool = False
    """Whether it enters the state in which the job is from then on: no other event did so later."""


def _placed_class(cls: type[Data]) -> type[Data]:
    """The class of the same data with a placement; its name is the event's."""
    made = create_model(
        cls.__name__,
        __base__=cls,
        __module__=cls.__module__,
        __doc__=cls.__doc__,
        placed=(Placement, Field(alias=PLACED_KEY)),
    )
    made.schema_number = cls.schema_number + PLACED
    made.max_bytes = cls.max_bytes + 1024
    # What a reporter calls "placed" stays one of its further fields.
    made.model_config["populate_by_name"] = False
    made.model_rebuild(force=True)
    return made


PLACED_TYPES: Final = {type_: _placed_class(cls) for type_, cls in EVENT_TYPES.items()}


def place(report: Data, placement: Placement) -> Data:
    """The report with its placement; raises InvalidFieldError if its data has a field of that name."""
    said = report.json_object()
    if PLACED_KEY in said:
        raise InvalidFieldError(f"data.{PLACED_KEY}", "is a name that the ledger uses itself")
    cls = PLACED_TYPES[type(report).__name__]
    return parse(cls, said | {PLACED_KEY: placement.model_dump()}, "data.")


def placement_of(data: Data) -> Placement | None:
    """Where the event takes effect if it was put where it happened; None if it follows the one before it."""
    if data.schema_number <= PLACED:
        return None
    placement: Placement = data.placed  # type: ignore[attr-defined] # It is of PLACED_TYPES.
    return placement


Upcaster = Callable[[JsonObject], JsonObject]
WITHOUT_MEANING: Final = "ofSchema1"
"""Where fields of older data are kept that had no meaning then, and whose names have one now."""


def _set_aside(*names: str) -> Upcaster:
    """Keeps these fields from being taken for what they mean in the next schema."""

    def upcast(data: JsonObject) -> JsonObject:
        found = {name: data[name] for name in names if name in data}
        rest = {name: value for name, value in data.items() if name not in found}
        return rest | {WITHOUT_MEANING: found} if found else data

    return upcast


UPCASTERS: Final[dict[tuple[str, int], Upcaster]] = {
    ("Queued", 1): _set_aside("attemptsBegun", "runId"),
    ("Preparing", 1): _set_aside("attemptsBegun", "runId"),
    ("Started", 1): _set_aside("attemptsBegun", "runId", "inferred"),
    ("Retried", 1): _set_aside("attemptsBegun", "runId"),
    ("Expired", 1): _set_aside("lost"),
    ("Updating", 1): _set_aside("labels"),
}
"""(type, schema) to the function that makes such data into that of the next schema."""


def parse_data(type_: str, data: Mapping[str, Any]) -> Data:
    """The data of an event of that type; raises InvalidFieldError with the field that is wrong."""
    cls = EVENT_TYPES.get(type_)
    if cls is None:
        raise UnknownEventTypeError(type_, EVENT_TYPES)
    return parse(cls, data, "data.")


def read_data(
    type_: str,
    schema: int,
    stored: bytes,
    upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
) -> Data:
    """Stored data, of whatever schema it was written under, as today's class."""
    types = PLACED_TYPES if schema > PLACED else EVENT_TYPES
    cls = types.get(type_)
    if cls is None or schema > cls.schema_number:
        raise UnknownEventTypeError(type_ if cls is None else f"{type_} (schema {schema})")
    data = canonical.decode(stored)
    for number in range(schema, cls.schema_number):
        data = upcasters[type_, number % PLACED](data)
    return parse(cls, data, "data.")


class Event(NamedTuple):
    """A fact about one job, with its place in it; satisfies eventsourcing's DomainEventProtocol.

    `occurred_time` is UTC, as its reporter says; `actor` who said so; `request_id`
    the request that asked for it (AIP-155); `trace_parent` W3C Trace Context.
    """

    name: str
    version: int
    data: Data
    occurred_time: datetime
    actor: str | None = None
    request_id: str | None = None
    trace_parent: str | None = None
    recorded_time: datetime | None = None
    """When it was recorded, if that was before it occurred: its reporter's clock ran ahead."""

    @property
    def bounded_time(self) -> datetime:
        """When it occurred, or was recorded, if that was earlier."""
        return self.occurred_time if self.recorded_time is None else self.recorded_time

    @property
    def type(self) -> str:
        """The stored name of what happened: a key of LIFECYCLE."""
        return type(self.data).__name__

    @property
    def placed_after(self) -> int | None:
        """The version that a late report follows in valid time; None for all other events."""
        placement = placement_of(self.data)
        return None if placement is None else placement.after

    @property
    def originator_id(self) -> str:
        """The job's name, as eventsourcing calls it."""
        return self.name

    @property
    def originator_version(self) -> int:
        """The event's version, as eventsourcing calls it."""
        return self.version
