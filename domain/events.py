"""What can happen to a job: one class of data for each event type, and the event that carries it.

An event's stored name is the name of its data class, with a schema number: both
only ever gain versions. `UPCASTERS` turn data stored under an older schema into
today's. Fields the ledger has no meaning for are kept as they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, NamedTuple

from jobledger.domain import canonical
from jobledger.domain.canonical import JsonObject
from jobledger.domain.data import MAX_DATA_BYTES, Data, Error, Labels, parse
from jobledger.domain.errors import UnknownEventTypeError
from jobledger.domain.run_events import RUN_EVENTS, RunEvent
from pydantic import BeforeValidator, Field

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
    inferred: bool = False


class Queued(Data):
    """It waits, at this place in the line if that is known, or was sent back to wait.

    `attempts_begun` is how many attempts further the job is with it, as the ledger decides, and
    `run_id` its reporter's id of the attempt; in Preparing, Started and Retried, too.
    """

    schema_number: ClassVar[int] = 2

    queue_position: int | None = Field(default=None, ge=0)
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
    inferred: bool = False


class Updating(Data):
    """Its configuration is being changed while it runs; `spec` is what was asked for."""

    spec: JsonObject | None = None


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
    """Its time ran out before it ended."""

    reason: str | None = None


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


class Deleted(Data):
    """It is gone from lists; its history is kept."""


EVENT_TYPES: Final[dict[str, type[Data]]] = {
    **{cls.__name__: cls for cls in Data.__subclasses__() if cls not in (RunEvent, *RUN_EVENTS)},
    **{cls.__name__: cls for cls in RUN_EVENTS},
}

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
    cls = EVENT_TYPES.get(type_)
    if cls is None or schema > cls.schema_number:
        raise UnknownEventTypeError(type_ if cls is None else f"{type_} (schema {schema})")
    data = canonical.decode(stored)
    for number in range(schema, cls.schema_number):
        data = upcasters[type_, number](data)
    return parse_data(type_, data)


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

    @property
    def type(self) -> str:
        """The stored name of what happened: a key of LIFECYCLE."""
        return type(self.data).__name__

    @property
    def originator_id(self) -> str:
        """The job's name, as eventsourcing calls it."""
        return self.name

    @property
    def originator_version(self) -> int:
        """The event's version, as eventsourcing calls it."""
        return self.version
