"""Reads the events of our own exports: jsonl, CloudEvents, and Parquet (a folder or one of its files)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Final, Literal, NamedTuple

from jobledger.domain.data import PLACED, PLACED_KEY, parse
from jobledger.domain.errors import InvalidFieldError, LedgerError
from jobledger.domain.events import read_data
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import parse_name, parse_text, parse_time, parse_trace_parent
from jobledger.infra.errors import InputError, ProofError
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.transfer.exports.manifest import MANIFEST, read_manifest
from jobledger.infra.transfer.exports.partitions import FILES, parquet_files
from jobledger.infra.transfer.exports.verify_export import check_files
from jobledger.infra.transfer.imports.read_export import (
    Head,
    UtcTime,
    parse_end,
    parse_head,
    parse_line,
    parse_object,
)
from jobledger.infra.transfer.imports.read_export import numbered_lines as lines_of
from pydantic import BaseModel, Field

_TYPE: Final = "jobledger.job."
_SOURCE: Final = "/ledgers/"


class Origin(NamedTuple):
    """The ledger that an export is of, as far as the export says."""

    ledger: str
    checkpoint: str = ""
    """A signed checkpoint of its log that covers the events; "" if the export has none."""


class Exported(NamedTuple):
    """An export: where it is from, and its events, each job's in the order of versions."""

    origin: Origin
    events: Iterator[RecordedEvent]


def is_export(path: Path) -> bool:
    """Whether a path looks like one of our own exports, by its first line or its files."""
    if path.is_dir():
        return any(path.glob(FILES))
    if not path.is_file():
        return False
    if path.suffix == ".parquet":
        return True
    try:
        with closing(lines_of(path)) as lines:
            first = parse_object(next(lines, (0, b""))[1])
    except LedgerError:
        return False
    return first.get("jobledger") == "history" or str(first.get("type")).startswith(_TYPE)


def open_export(path: Path) -> Exported:
    """Opens an export; its events are read, and checked, while they are iterated over.

    Args:
        path: A jsonl or CloudEvents file (.gz too), a Parquet file, or a folder of those.

    Returns:
        The export.

    Raises:
        InputError: The file is not an export, or it is cut off or damaged.
    """
    if path.is_dir() or path.suffix == ".parquet":
        return _parquet(path)
    lines = lines_of(path)
    first = next(lines, None)
    if first is None:
        raise InputError(str(path), 0, "is empty; an export has at least a first and a last line")
    with _line(path, first[0]):
        value = parse_object(first[1])
        if str(value.get("type")).startswith(_TYPE):
            return _cloud_events(path, chain([first], lines))
        head = parse_head(value)
    return Exported(Origin(head.ledger, head.checkpoint), _history(path, head, lines))


@contextmanager
def _line(path: Path, number: int) -> Iterator[None]:
    """Adds the file and the line to an error."""
    try:
        yield
    except InputError:
        raise
    except LedgerError as error:
        raise InputError(str(path), number, str(error)) from None


def _history(path: Path, head: Head, lines: Iterator[tuple[int, bytes]]) -> Iterator[RecordedEvent]:
    count, number, position = 0, 1, 0
    for number, line in lines:
        with _line(path, number):
            value = parse_object(line)
            if "end" in value:
                parse_end(value, count)
                if next(lines, None) is not None:
                    raise InputError(
                        str(path), number + 1, "follows the last line, the one with end; remove it"
                    )
                return
            event = _event(parse_line(value))
        if not position < event.position <= head.position:
            raise InputError(
                str(path),
                number,
                f"position {event.position} is out of order: it comes after {position}, and the last is {head.position}",
            )
        count, position = count + 1, event.position
        yield event
    raise InputError(str(path), number, "is incomplete: its last line, the end, is missing")


class _CloudEvent(BaseModel):
    source: str = Field(pattern=f"^{_SOURCE}")
    type: str = Field(pattern=r"^jobledger\.job\.[A-Za-z]+\.v[0-9]{1,4}$")
    subject: str
    time: UtcTime
    recordedtime: UtcTime
    position: str = Field(pattern=r"^[1-9][0-9]{0,18}$")
    version: int = Field(ge=1)
    specversion: Literal["1.0"]
    data: JsonObject
    actor: str | None = None
    requestid: str | None = None
    traceparent: str | None = None

    def event(self) -> RecordedEvent:
        """The event as the ledger stores it."""
        type_, _, schema = self.type.removeprefix(_TYPE).rpartition(".v")
        number = int(schema) + (PLACED if PLACED_KEY in self.data else 0)
        return RecordedEvent(
            position=int(self.position), name=self.subject, version=self.version, type=type_,
            schema=number, occurred_time=self.time,
            recorded_time=self.recordedtime, actor=self.actor,
            request_id=self.requestid, trace_parent=self.traceparent,
            stored=canonical.encode(self.data),
        )  # fmt: skip


def _cloud_events(path: Path, lines: Iterator[tuple[int, bytes]]) -> Exported:
    def read(number: int, line: bytes) -> _CloudEvent:
        with _line(path, number):
            return parse(_CloudEvent, parse_object(line))

    def events() -> Iterator[RecordedEvent]:
        for number, line in chain([first], lines):
            read_ = read(number, line)
            if read_.source != source:
                raise InputError(str(path), number, f"source {read_.source!r} is not {source!r}")
            with _line(path, number):
                event = _event(read_.event())
            yield event

    first = next(lines)
    source = read(*first).source
    return Exported(Origin(source.removeprefix(_SOURCE)), events())


def _parquet(path: Path) -> Exported:
    try:
        from jobledger.infra.transfer.imports.read_parquet import read_about, read_rows
    except ModuleNotFoundError:
        raise InputError(str(path), 0, "needs pyarrow: pip install 'jobledger[export]'") from None
    files = parquet_files(path) if path.is_dir() else [path]
    if not files:
        raise InputError(str(path), 0, f"has no {FILES}")
    if (path / MANIFEST).exists():
        try:
            check_files(path, read_manifest(path))
        except ProofError as error:
            raise InputError(str(path), 0, error.why) from None

    def events() -> Iterator[RecordedEvent]:
        for file, event in read_rows(files):
            with _line(file, 0):
                checked = _event(event)
            yield checked

    about = read_about(files[0])
    return Exported(Origin(about["ledger"], about.get("checkpoint", "")), events())


def _event(event: RecordedEvent) -> RecordedEvent:
    """The event, if a ledger can hold it; raises LedgerError."""
    parse_name(event.name)
    parse_time(event.occurred_time, datetime.now(UTC))
    parse_text("actor", event.actor)
    parse_text("request_id", event.request_id)
    parse_trace_parent(event.trace_parent)
    read_data(event.type, event.schema, event.stored)
    if canonical.encode(canonical.decode(event.stored)) != event.stored:
        raise InvalidFieldError("data", "is not canonical JSON (RFC 8785)")
    return event


def batches(events: Iterator[RecordedEvent], size: int) -> Iterator[list[RecordedEvent]]:
    """The events in lists of at most `size`."""
    while batch := list(islice(events, size)):
        yield batch
