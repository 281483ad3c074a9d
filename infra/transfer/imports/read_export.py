"""Reads an exported history (jsonl, plain or gzip) without a database.

An incomplete or damaged file is refused, and the error names the line.
"""

from __future__ import annotations

import gzip
import zlib
from codecs import BOM_UTF8
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from jobledger.domain.data import parse
from jobledger.domain.errors import InvalidFieldError, LedgerError
from jobledger.domain.events import read_data
from jobledger.domain.states import JobState
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject, json_type
from jobledger.domain.values.moments import Clock, Moment
from jobledger.domain.values.names import parse_name
from jobledger.domain.values.nearest import did_you_mean
from jobledger.infra.errors import InputError
from jobledger.infra.eventstore.stored_event import RecordedEvent, entered_state
from jobledger.infra.transfer.exports.export import HISTORY_VERSION
from jobledger.infra.transfer.imports.history_file import History
from jobledger.infra.transfer.unpacking import unpacked
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


def open_history(file: Path, name: str | None = None, *, exact: bool = False) -> History:
    """Returns the history of that job, or of the only job in the file.

    `exact` refuses unknown fields, which are otherwise ignored. Raises InputError for a file that
    is unreadable, incomplete or without the job, and InvalidFieldError if it has several jobs and
    none is named.
    """
    reader = _Reader(str(file), name, exact=exact)
    for number, line in numbered_lines(file):
        reader.take(number, line)
    return reader.history()


def numbered_lines(file: Path) -> Generator[tuple[int, bytes], None, None]:
    """Yields the lines of a file, plain or gzip, from 1; raises InputError if it cannot be read."""
    number = 0
    try:
        with file.open("rb") as raw:
            for number, line in enumerate(unpacked(raw), start=1):
                yield number, line.removeprefix(BOM_UTF8) if number == 1 else line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        why = f"the gzip is cut off or damaged: {error}"
        raise InputError(str(file), number + 1, why) from None
    except OSError as error:
        raise InputError(str(file), 0, error.strerror or str(error)) from None


class _Reader:
    """Reads the lines of a file one by one, and keeps the events of one job."""

    def __init__(self, file: str, name: str | None, *, exact: bool) -> None:
        self._file = file
        self._exact = exact
        self._name = name
        self._head: Head | None = None
        self._kept: list[RecordedEvent] = []
        self.lines = self._events = self._position = 0
        self._ended = False
        self._only = False
        """Whether the job is not named, and so must be the only one."""

    def take(self, number: int, line: bytes) -> None:
        """Reads a line; raises InputError with its number."""
        self.lines = number
        try:
            value = parse_object(line)
            if self._head is None:
                self._head = parse_head(value)
            elif self._ended:
                raise DamagedError("follows the last line, the one with end; remove it")
            elif "end" in value:
                parse_end(value, self._events)
                self._ended = True
            else:
                self._event(value)
        except _SeveralJobsError:
            raise
        except LedgerError as error:
            raise InputError(self._file, number, str(error)) from None

    def history(self) -> History:
        """Returns the history, after the last line."""
        if self._head is None or not self._ended:
            raise InputError(
                self._file, self.lines, "is incomplete: its last line, the end, is missing"
            )
        if not self._kept or self._name is None:
            raise InputError(self._file, 0, f"has no events of {self._name or 'any job'}")
        moment = Moment(self._head.position, self._head.as_of, self._head.clock)
        return History(self._file, self._head.ledger, moment, self._name, self._kept)

    def _event(self, value: JsonObject) -> None:
        place = parse(_Place, value)
        if place.position <= self._position:
            raise DamagedError(f"position {place.position} comes after {self._position}")
        if self._head is not None and place.position > self._head.position:
            raise DamagedError(
                f"position {place.position} is after {self._head.position}, the last"
            )
        self._position = place.position
        self._events += 1
        if self._name is None:
            self._name = parse_name(place.name)
            self._only = True
        if place.name == self._name:
            unknown = sorted(value.keys() - _FIELDS) if self._exact else []
            if unknown:
                raise DamagedError(
                    f"{unknown[0]!r} is not a field of an event{did_you_mean(unknown[0], _FIELDS)}"
                )
            self._keep(parse(_Line, value).event())
        elif self._only:
            raise _SeveralJobsError(
                "name",
                f"{self._file} has several jobs, such as {self._name} and {place.name}; name one",
            )

    def _keep(self, event: RecordedEvent) -> None:
        assert self._head is not None
        last = self._kept[-1].version if self._kept else 0
        # In valid time, later events are left out.
        gap_allowed = self._head.clock is Clock.OCCURRED
        if event.version <= last or (event.version > last + 1 and not gap_allowed):
            raise DamagedError(f"version {event.version} of {event.name} comes after {last}")
        state = entered_state(event.type, event.schema, event.stored)
        if state is None and event.version == last + 1:
            state = self._kept[-1].state if self._kept else None
        elif state is None:
            state = event.state  # An event that was left out may have led to the state.
        if event.state is not state:
            was = "none" if state is None else state.name
            raise DamagedError(f"state {event.state} is not {was}, which its events lead to")
        self._kept.append(event)


class DamagedError(LedgerError):
    """The file has something that no export writes."""


class _SeveralJobsError(InvalidFieldError):
    """The file has several jobs, and none was named."""


def _to_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("is not within the years 1 to 9999, in UTC") from None


UtcTime = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""A time with a zone, which becomes UTC."""
Whole = ConfigDict(alias_generator=to_camel)


class Head(BaseModel):
    """The first line of an export."""

    model_config = Whole

    jobledger: Literal["history"]
    version: int
    ledger: str
    as_of: UtcTime
    clock: Clock
    position: int = Field(ge=0)
    checkpoint: str = ""


class _End(BaseModel):
    end: Literal[True]
    events: int


class _Place(BaseModel):
    """The fields that are checked in the events of all jobs."""

    model_config = Whole

    position: int = Field(ge=1)
    name: str


class _Line(_Place):
    version: int = Field(ge=1)
    type: str
    schema_number: int = Field(ge=1, alias="schema")
    occurred_time: UtcTime
    recorded_time: UtcTime
    actor: str | None
    request_id: str | None
    trace_parent: str | None
    data: JsonObject
    state: str | None

    def event(self) -> RecordedEvent:
        """Returns the event as the ledger stores it; raises LedgerError if it is not valid."""
        if self.state is not None and self.state not in JobState.__members__:
            raise InvalidFieldError("state", f"{self.state!r} is not a job state, such as RUNNING")
        stored = canonical.encode(self.data)
        read_data(self.type, self.schema_number, stored)
        given = self.model_dump(exclude={"schema_number", "data"})
        return RecordedEvent(
            **given
            | {"schema": self.schema_number, "stored": stored}
            | {"state": None if self.state is None else JobState[self.state]}
        )


_FIELDS: Final = frozenset(field.alias or name for name, field in _Line.model_fields.items())
"""The fields of an event, as a line has them."""


def parse_head(value: JsonObject) -> Head:
    """Reads the first line; raises LedgerError if it is not an export's."""
    if value.get("jobledger") != "history":
        raise DamagedError("is not the first line of an exported history (--format jsonl)")
    head = parse(Head, value)
    if head.version != HISTORY_VERSION:
        raise DamagedError(
            f"version {head.version} is not supported; this program reads version {HISTORY_VERSION}"
        )
    return head


def parse_line(value: JsonObject) -> RecordedEvent:
    """Reads the line of an event; raises LedgerError if it is not valid."""
    return parse(_Line, value).event()


def parse_end(value: JsonObject, count: int) -> None:
    """Reads the last line, after so many events; raises LedgerError if there were others."""
    end = parse(_End, value)
    if end.events != count:
        raise DamagedError(f"{end.events} events were written, but the file has {count}")


def parse_object(line: bytes) -> JsonObject:
    """Reads the JSON object of a line; raises LedgerError if it is none."""
    try:
        value = canonical.loads(line)
    except ValueError as error:
        why = f"is not JSON: {error}" if line.endswith(b"\n") else "is cut off"
        raise DamagedError(why) from None
    if not isinstance(value, dict):
        raise DamagedError(f"must be a JSON object, not {json_type(value)}")
    return value
