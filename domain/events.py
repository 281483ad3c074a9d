"""The events of a job: one data class for each event type, and the event that carries the data.

An event's stored name is the name of its data class; with it a schema number is stored. Names and
schemas are never changed, only added. `UPCASTERS` convert data of an older schema to the present
one. Unknown fields are kept as they were given.

A late report that takes effect where it happened (see order.py) is stored as the event that it
reports, with a `Placement` in its data. Its schema number is the event's plus PLACED.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from threading import Lock
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
MAX_PARENTS: Final = 1_000
MAX_RELATIVE: Final = 4_096
Relative = Annotated[str, Field(min_length=1, max_length=MAX_RELATIVE)] | None
"""The name of a job, or of a person or program that began it; None if not given."""
Parents = (
    Annotated[
        list[Annotated[str, Field(min_length=1, max_length=MAX_RELATIVE)]],
        Field(max_length=MAX_PARENTS),
    ]
    | None
)
"""The names of the jobs that a job is part of; None if not given."""
DECIDED: Final = frozenset({"attempts_begun", "inferred"})
"""Fields that the ledger fills in, and no reporter."""


class Created(Data):
    """The job exists. `inferred`: this was not reported, but follows from another report.

    In this event, Queued, Preparing, Started and Retried, `parents` are the jobs that it is part of,
    `root` is the first of their parents, and `triggered_by` is what began it. Each that is given
    replaces what was known of it.
    """

    schema_number: ClassVar[int] = 2

    labels: Labels = Field(default_factory=dict)
    spec: JsonObject = Field(default_factory=dict)
    inferred: bool = Field(default=False, strict=True)
    parents: Parents = None
    root: Relative = None
    triggered_by: Relative = None


class Queued(Data):
    """The job waits in a queue, at `queue_position` (from 0) if that is known, or was sent back to it.

    In this event, Preparing, Started and Retried, `attempts_begun` is the number of attempts that
    the event begins, as the ledger decides, and `run_id` is the reporter's id of the attempt.
    """

    schema_number: ClassVar[int] = 3

    queue_position: int | None = Field(default=None, ge=0, strict=True)
    attempts_begun: AttemptsBegun = 0
    run_id: RunId = None
    parents: Parents = None
    root: Relative = None
    triggered_by: Relative = None


class Preparing(Data):
    """Resources are being prepared for the job."""

    schema_number: ClassVar[int] = 3

    attempts_begun: AttemptsBegun = 0
    run_id: RunId = None
    parents: Parents = None
    root: Relative = None
    triggered_by: Relative = None


class Started(Data):
    """The job runs. `inferred`: this was not reported, but follows from a report on that attempt."""

    schema_number: ClassVar[int] = 3

    attempts_begun: AttemptsBegun = 0
    run_id: RunId = None
    inferred: bool = Field(default=False, strict=True)
    parents: Parents = None
    root: Relative = None
    triggered_by: Relative = None


class Updating(Data):
    """The job's configuration is being changed while it runs; `spec` is the requested one.

    `labels`, if given, are all its labels from the end of the update on, unless the update fails.
    """

    schema_number: ClassVar[int] = 2

    spec: JsonObject | None = None
    labels: Labels | None = None


class Updated(Data):
    """The update ended: `spec` is the new configuration, or `error` says why the update failed."""

    spec: JsonObject | None = None
    error: Error | None = None


class Paused(Data):
    """The job was paused, and can be resumed."""

    reason: str | None = None


class Resumed(Data):
    """A paused job waits to run again."""


class Cancelling(Data):
    """Cancellation of the job was requested."""

    reason: str | None = None


class Cancelled(Data):
    """The job ended because its cancellation was requested."""

    reason: str | None = None


class Succeeded(Data):
    """The job ended successfully."""

    output: JsonObject | None = None


class PartiallySucceeded(Data):
    """The job ended, and some results may be missing."""

    output: JsonObject | None = None


class Failed(Data):
    """The job failed; without `error` the reason is unknown."""

    error: Error | None = None


class Expired(Data):
    """The job's time ran out. `lost`: its heartbeats stopped, and how it ended is unknown."""

    schema_number: ClassVar[int] = 2

    reason: str | None = None
    lost: bool = Field(default=False, strict=True)


class Retried(Data):
    """A new attempt at a job that had ended began."""

    schema_number: ClassVar[int] = 3

    reason: str | None = None
    attempts_begun: AttemptsBegun = 1
    run_id: RunId = None
    parents: Parents = None
    root: Relative = None
    triggered_by: Relative = None


class ProgressReported(Data):
    """A live job made progress; `output` is what it has produced so far."""

    output: JsonObject | None = None


class LabelsChanged(Data):
    """All labels of the job were replaced by `labels`."""

    labels: Labels = Field(default_factory=dict)


class Contradicted(Data):
    """A report that the job's state does not allow: `report` is its type, `data` its data."""

    max_bytes: ClassVar[int] = MAX_DATA_BYTES + 1024

    report: str
    state: str
    data: JsonObject = Field(default_factory=dict)


class ConfigChanged(Data):
    """A live job's configuration was replaced, without an update of the running program."""

    spec: JsonObject = Field(default_factory=dict)


class PolicyChanged(Data):
    """The job's IAM policy (google.iam.v1.Policy) was replaced."""

    policy: JsonObject = Field(default_factory=dict)


class Commented(Data):
    """A note was added to the job's history; the event's actor is the author."""

    note: str = ""


class Deleted(Data):
    """The job was deleted: lists leave it out, and its history is kept."""


EVENT_TYPES: Final[dict[str, type[Data]]] = {
    **{cls.__name__: cls for cls in Data.__subclasses__() if cls not in (RunEvent, *RUN_EVENTS)},
    **{cls.__name__: cls for cls in RUN_EVENTS},
}


class Placement(BaseModel):
    """Where a late report takes effect in valid time."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    after: int = Field(ge=1)
    """The version of the event that it follows in valid time."""
    latest: bool = False
    """Whether it enters the state in which the job is from then on: no other event did so later."""


def _placed_class(cls: type[Data]) -> type[Data]:
    """Makes the class of the same data with a placement; its name is the event's."""
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


_PLACED_TYPES: Final[dict[str, type[Data]]] = {}
_MAKING: Final = Lock()


def _placed_type(type_: str) -> type[Data] | None:
    """Returns the class of an event's data with a placement, made when it is first used; None for an unknown type."""
    if type_ not in EVENT_TYPES:
        return None
    with _MAKING:
        if type_ not in _PLACED_TYPES:
            _PLACED_TYPES[type_] = _placed_class(EVENT_TYPES[type_])
        return _PLACED_TYPES[type_]


def place(report: Data, placement: Placement) -> Data:
    """Adds a placement to the data of a report.

    Args:
        report: The data of a late report.
        placement: Where the report takes effect.

    Returns:
        The data with the placement.

    Raises:
        InvalidFieldError: The data has a field of the placement's name, which is reserved.
    """
    fields = report.json_object()
    if PLACED_KEY in fields:
        raise InvalidFieldError(f"data.{PLACED_KEY}", "is reserved; give the field another name")
    cls = _placed_type(type(report).__name__)
    assert cls is not None
    return parse(cls, fields | {PLACED_KEY: placement.model_dump()}, "data.")


def placement_of(data: Data) -> Placement | None:
    """Returns where a late report takes effect; None for an event that follows the one before it."""
    if data.schema_number <= PLACED:
        return None
    placement: Placement = data.placed  # type: ignore[attr-defined] # It is of a placed type.
    return placement


Upcaster = Callable[[JsonObject], JsonObject]
WITHOUT_MEANING: Final = "ofSchema1"
"""The key under which fields of older data are kept whose names have a meaning only now."""


def _set_aside(*names: str) -> Upcaster:
    """Moves fields without a meaning in the old schema aside, so that the next one gives them none."""

    def upcast(data: JsonObject) -> JsonObject:
        found = {name: data[name] for name in names if name in data}
        rest = {name: value for name, value in data.items() if name not in found}
        if not found:
            return data
        before = rest.get(WITHOUT_MEANING)
        return rest | {WITHOUT_MEANING: {**(before if isinstance(before, dict) else {}), **found}}

    return upcast


LINEAGE: Final = ("parents", "root", "triggered_by")
"""What an event says of the jobs that its job belongs to, as attributes of its data."""
LINEAGE_KEYS: Final = ("parents", "root", "triggeredBy")
"""The same in JSON."""


def lineage(
    name: str, parents: Iterable[str], root: str | None, triggered_by: str | None = None
) -> JsonObject:
    """Returns what an event says of the jobs that a job belongs to; none is its own parent or root."""
    found = ([each for each in parents if each != name], root != name and root, triggered_by)
    return {key: value for key, value in zip(LINEAGE_KEYS, found, strict=True) if value}


UPCASTERS: Final[dict[tuple[str, int], Upcaster]] = {
    ("Created", 1): _set_aside(*LINEAGE_KEYS),
    ("Queued", 2): _set_aside(*LINEAGE_KEYS),
    ("Preparing", 2): _set_aside(*LINEAGE_KEYS),
    ("Started", 2): _set_aside(*LINEAGE_KEYS),
    ("Retried", 2): _set_aside(*LINEAGE_KEYS),
    ("Queued", 1): _set_aside("attemptsBegun", "runId"),
    ("Preparing", 1): _set_aside("attemptsBegun", "runId"),
    ("Started", 1): _set_aside("attemptsBegun", "runId", "inferred"),
    ("Retried", 1): _set_aside("attemptsBegun", "runId"),
    ("Expired", 1): _set_aside("lost"),
    ("Updating", 1): _set_aside("labels"),
}
"""(type, schema) to the function that makes such data into that of the next schema."""


def parse_data(type_: str, data: Mapping[str, Any]) -> Data:
    """Validates the data of an event.

    Args:
        type_: The event type, a key of EVENT_TYPES.
        data: The data as JSON.

    Returns:
        An instance of the type's class.

    Raises:
        UnknownEventTypeError: There is no such event type.
        InvalidFieldError: A field is not valid; the error names the first one.

    Examples:
        >>> from jobledger.domain.events import parse_data
        >>> parse_data("Failed", {"error": "out of memory"}).error.code
        2
    """
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
    """Reads stored data of any schema as an instance of the present class.

    Args:
        type_: The stored event type.
        schema: The stored schema number.
        stored: The data as canonical JSON.
        upcasters: Converters of older data, by type and schema number.

    Returns:
        An instance of the type's present class.

    Raises:
        UnknownEventTypeError: The type or schema is of a newer version of this library.
        InvalidFieldError: The stored data is not valid.
    """
    cls = _placed_type(type_) if schema > PLACED else EVENT_TYPES.get(type_)
    if cls is None or schema > cls.schema_number:
        raise UnknownEventTypeError(type_ if cls is None else f"{type_} (schema {schema})")
    data = canonical.decode(stored)
    for number in range(schema, cls.schema_number):
        data = upcasters[type_, number % PLACED](data)
    return parse(cls, data, "data.")


class Event(NamedTuple):
    """A fact about one job; satisfies eventsourcing's DomainEventProtocol.

    Attributes:
        name: The job's resource name (AIP-122).
        version: The event's place in its job, from 1.
        data: What happened; its class is the event type.
        occurred_time: When it happened, by the reporter's clock (UTC, valid time).
        actor: The user or program that asked for it or reported it.
        request_id: The id of the request that caused it (AIP-155).
        trace_parent: The request's W3C Trace Context.
        recorded_time: When it was recorded (UTC, transaction time), if that was before
            `occurred_time`, because the reporter's clock was ahead; else None.

    Examples:
        >>> from datetime import UTC, datetime
        >>> from jobledger import Event
        >>> from jobledger.domain.events import Started
        >>> event = Event("projects/demo/jobs/a", 2, Started(), datetime(2026, 1, 1, tzinfo=UTC))
        >>> event.type
        'Started'
    """

    name: str
    version: int
    data: Data
    occurred_time: datetime
    actor: str | None = None
    request_id: str | None = None
    trace_parent: str | None = None
    recorded_time: datetime | None = None

    @property
    def bounded_time(self) -> datetime:
        """The earlier one of when it occurred and when it was recorded (UTC)."""
        return self.occurred_time if self.recorded_time is None else self.recorded_time

    @property
    def type(self) -> str:
        """The event type as it is stored: a key of LIFECYCLE."""
        return type(self.data).__name__

    @property
    def placed_after(self) -> int | None:
        """The version that a late report follows in valid time; None for all other events."""
        placement = placement_of(self.data)
        return None if placement is None else placement.after

    @property
    def originator_id(self) -> str:
        """The job's name, under eventsourcing's name for it."""
        return self.name

    @property
    def originator_version(self) -> int:
        """The event's version, under eventsourcing's name for it."""
        return self.version
