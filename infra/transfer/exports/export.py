"""Exports the events of a job, of the jobs that a filter matches, or of all jobs, as of a moment.

jsonl is a history that can be read again without a database (imports/read_export.py); html_page.py is for
people without a server; cloud_events.py, perfetto.py and parquet.py are for other programs.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple
from uuid import uuid4

import orjson
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.eventstore.json_view import event_json_with
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.keys import find_keys
from jobledger.infra.proof.signing.notes import SigningKey
from jobledger.infra.read.reader import Reader
from jobledger.infra.settings import Settings
from jobledger.infra.transfer.exports.manifest import Part, write_manifest
from jobledger.infra.transfer.exports.partitions import Partition
from jobledger.infra.transfer.exports.selection import Order, Selection, select

HISTORY_VERSION: Final = 1
"""The version of the form of a jsonl export; it grows if older readers would misread it."""
PROGRESS_EVENTS: Final = 1_000

Write = Callable[[BinaryIO, Selection, Iterable[RecordedEvent]], None]
Progress = Callable[[int], object]
"""Called now and then with the number of events written."""


class Format(StrEnum):
    """The format of an export."""

    JSONL = "jsonl"
    CLOUDEVENTS = "cloudevents"
    PARQUET = "parquet"
    PERFETTO = "perfetto"
    HTML = "html"


class Form(NamedTuple):
    """How a format is written: the order of its events, and the function for a stream or folder."""

    order: Order
    to_stream: Write | None = None
    to_folder: (
        Callable[[Path, Selection, Iterable[RecordedEvent], Partition], list[Part]] | None
    ) = None


def export(
    reader: Reader,
    wanted: Selection,
    format_: Format,
    to: Path | BinaryIO,
    progress: Progress = lambda done: None,
    partition_by: Partition = Partition.DAY,
) -> int:
    """Exports the events of a selection.

    A path either keeps its content or holds a whole export: the export is written to a file next to it, and
    renamed at the end. Parquet is a folder, which must be new or empty; the other formats are
    files. The folder has a manifest of its files, which the log's keys on this machine sign.

    Args:
        reader: The ledger to read.
        wanted: The events to export, and the moment as of which.
        format_: The format.
        to: The file or folder, or an open binary file.
        progress: Called now and then with the number of events written so far.
        partition_by: The columns that Parquet files are partitioned by.

    Returns:
        The number of exported events.

    Raises:
        InvalidFieldError: The filter cannot be parsed, the path cannot be written, or the format
            needs a library that is not installed.
        ProofError: A key of the log cannot be read.
        JobNotFoundError: `wanted` names a job that had no events at the moment.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> from jobledger import Format, Selection
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> wanted = Selection(ledger.name, ledger.moment())
        >>> ledger.export(wanted, Format.JSONL, folder / "all.jsonl")
        1
    """
    form = form_of(format_, partition_by)
    with closing(select(reader, wanted, form.order)) as selected:
        events = _Counted(_known(selected, wanted), progress)
        if isinstance(to, Path):
            with whole(to, folder=form.to_folder is not None) as partial:
                if form.to_folder is not None:
                    parts = form.to_folder(partial, wanted, events, partition_by)
                    write_manifest(partial, wanted, partition_by, parts, _keys(reader))
                elif form.to_stream is not None:
                    with partial.open("wb") as out:
                        form.to_stream(out, wanted, events)
        elif form.to_stream is not None:
            form.to_stream(to, wanted, events)
        else:
            raise InvalidFieldError("to", f"{format_} is a folder of files; give a path")
    progress(events.count)
    return events.count


def form_of(format_: Format, partition_by: Partition = Partition.DAY) -> Form:
    """Returns how a format is written; raises InvalidFieldError if a library is not installed."""
    try:
        match format_:
            case Format.JSONL:
                return Form(Order.POSITION, to_stream=write_history)
            case Format.CLOUDEVENTS:
                from jobledger.infra.transfer.exports import cloud_events

                return Form(Order.POSITION, to_stream=cloud_events.write)
            case Format.PERFETTO:
                from jobledger.infra.transfer.exports import perfetto

                return Form(Order.JOB, to_stream=perfetto.write)
            case Format.HTML:
                from jobledger.infra.transfer.exports import html_page as page

                return Form(Order.POSITION, to_stream=page.write)
            case Format.PARQUET:
                from jobledger.infra.transfer.exports import parquet

                order = Order.DAY if partition_by is Partition.DAY else Order.DAY_KIND
                return Form(order, to_folder=parquet.write)
    except ModuleNotFoundError as error:
        raise InvalidFieldError(
            "format", f"{format_} needs {error.name}: pip install 'jobledger[export]'"
        ) from None


def write_history(out: BinaryIO, wanted: Selection, events: Iterable[RecordedEvent]) -> None:
    """Writes a header line, a line for each event, and a last line that marks the end.

    An event's `data` is exactly the stored bytes.
    """
    out.write(_line({"jobledger": "history", "version": HISTORY_VERSION} | wanted.json()))
    written = _Counted(iter(events))
    out.writelines(_line(history_json(event)) for event in written)
    out.write(_line({"end": True, "events": written.count}))


def history_json(event: RecordedEvent) -> JsonObject:
    """Returns an event as JSON with all stored fields; its data as it is stored."""
    return event_json_with(event, orjson.Fragment(event.stored)) | {
        "schema": event.schema,
        "traceParent": event.trace_parent,
    }


@contextmanager
def whole(to: Path, *, folder: bool) -> Iterator[Path]:
    """Yields a path next to `to` to write to, which replaces `to` at the end and is removed after an error.

    Args:
        to: The file or folder.
        folder: Whether it is a folder.

    Raises:
        InvalidFieldError: `to` is something else, or cannot be written.
    """
    to = to.resolve()
    partial = to.with_name(f".{to.name}.{uuid4().hex[:8]}.partial")
    try:
        if to.exists() and not (_is_empty(to) if folder else to.is_file()):
            what = "an empty folder" if folder else "a file"
            raise InvalidFieldError("to", f"{to} exists and is not {what}")
        if folder:
            partial.mkdir()
        yield partial
        partial.replace(to)
    except OSError as error:
        raise InvalidFieldError("to", f"{to}: {error.strerror or error}") from None
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def _keys(reader: Reader) -> list[SigningKey]:
    """Returns the keys of the ledger's log on this machine."""
    with reader.connection() as connection:
        origin = Tree().log_state(connection).origin
    return find_keys(Settings(), origin)


def _known(events: Iterator[RecordedEvent], wanted: Selection) -> Iterator[RecordedEvent]:
    """Returns the events, after checking that a named job has any."""
    first = next(events, None)
    if first is None and wanted.name:
        raise JobNotFoundError(wanted.name)
    return events if first is None else chain((first,), events)


class _Counted:
    """Counts events while they are iterated over."""

    def __init__(
        self, events: Iterator[RecordedEvent], progress: Progress = lambda done: None
    ) -> None:
        self._events = events
        self._progress = progress
        self.count = 0

    def __iter__(self) -> Iterator[RecordedEvent]:
        for event in self._events:
            self.count += 1
            if self.count % PROGRESS_EVENTS == 0:
                self._progress(self.count)
            yield event


def _line(value: JsonObject) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def _is_empty(path: Path) -> bool:
    return path.is_dir() and next(path.iterdir(), None) is None
