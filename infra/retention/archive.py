"""The jobs to prune, and their export.

Events leave the ledger only after a file with them was read back.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

import orjson
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import TERMINAL, JobState
from jobledger.domain.values.canonical import JsonObject, json_type
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.errors import InputError
from jobledger.infra.eventstore.stored_event import RecordedEvent, entered_state
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.postgres.session import WAIT_IN_TRANSACTION
from jobledger.infra.read.reader import Reader
from jobledger.infra.retention.holds import Hold, read_holds
from jobledger.infra.transfer.exports.export import (
    HISTORY_VERSION,
    history_json,
    whole,
    write_history,
)
from jobledger.infra.transfer.exports.selection import BATCH, PLAN_FOR_ALL, Selection
from jobledger.infra.transfer.imports.read_export import numbered_lines
from psycopg.sql import SQL, Composable

FIND_PRUNABLE: Final = sql.template(__package__, "find_prunable")
ANALYZE_PRUNABLE: Final = sql.load(__package__, "analyze_prunable")
READ_PRUNABLE: Final = sql.load(__package__, "read_prunable")
READ_PRUNABLE_EVENTS: Final = sql.load(__package__, "read_prunable_events")
KEEP_HELD: Final = sql.load(__package__, "keep_held")
KEEP_EXPORTED: Final = sql.load(__package__, "keep_exported")
DERIVED: Final = "state"
"""Fields of an exported event that are derived, not stored."""


class Prunable(NamedTuple):
    """A job to prune: its number of events, and the position of the last one."""

    name: str
    version: int
    last_position: int


class Condition(NamedTuple):
    """A condition on rows of `jobs` in SQL, and its parameters."""

    text: Composable = SQL("true")
    parameters: Mapping[str, Any] = MappingProxyType({})


ANY: Final = Condition()


class Source:
    """The jobs that ended by a time and match a condition, on a connection of its own; a context manager."""

    def __init__(self, reader: Reader, before: datetime, condition: Condition = ANY) -> None:
        at = reader.moment(before - timedelta(microseconds=1), Clock.RECORDED)
        self.selection = Selection(reader.name, Moment(at.position, before, Clock.RECORDED))
        self._condition = condition
        self._connection = reader.connection()

    def __enter__(self) -> Self:
        ended = [state.name for state in TERMINAL]
        position = self.selection.moment.position
        parameters = {"ended": ended, "position": position} | dict(self._condition.parameters)
        try:
            with translated():
                find = FIND_PRUNABLE.format(condition=self._condition.text)
                self._connection.execute(find, parameters)
                self._connection.execute(ANALYZE_PRUNABLE)
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def prunable(self) -> list[Prunable]:
        """Returns the jobs, in the order of their last events."""
        with translated():
            return [Prunable(*row) for row in self._connection.execute(READ_PRUNABLE)]

    def leave_held(self) -> list[Hold]:
        """Leaves out the jobs that are held or pinned; returns the holds on jobs that were found."""
        with translated():
            held = read_holds(self._connection)
            rows = self._connection.execute(KEEP_HELD, ([each.name for each in held],)).fetchall()
        names = {name for (name,) in rows}
        return [each for each in held if each.name in names]

    def events(self) -> Iterator[RecordedEvent]:
        """Yields all their events, by position."""
        states: dict[str, JobState | None] = {}
        with (
            translated(),
            self._connection.transaction(),
            self._connection.cursor("prunable_events") as cursor,
        ):
            self._connection.execute(PLAN_FOR_ALL)
            self._connection.execute(WAIT_IN_TRANSACTION)
            cursor.execute(READ_PRUNABLE_EVENTS, binary=True)
            while rows := cursor.fetchmany(BATCH):
                for row in rows:
                    entered = entered_state(row[3], row[4], row[10])
                    state = states[row[1]] = entered or states.get(row[1])
                    yield RecordedEvent._make((*row, state, None))

    def keep(self, counts: Counter[str]) -> None:
        """Leaves out jobs that have other numbers of events than the given ones."""
        with translated():
            self._connection.execute(KEEP_EXPORTED, (list(counts), list(counts.values())))


class Export(NamedTuple):
    """The file that pruned events are written to, in the form of a jsonl export.

    Attributes:
        file: The file's path.
        is_there: Whether the file has the events already; otherwise it is written.
    """

    file: Path
    is_there: bool

    def secure(self, source: Source) -> str:
        """Writes or checks the file; jobs that it does not hold completely are left out.

        Args:
            source: The jobs to prune.

        Returns:
            The file's SHA-256, in hex.

        Raises:
            InvalidFieldError: The file exists already, or cannot be written.
            InputError: The file cannot be read back, or differs from the ledger.
        """
        if not self.is_there:
            self._write(source)
        source.keep(_found(self.file, source.events()))
        with self.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _write(self, source: Source) -> None:
        if self.file.exists():
            why = f"{self.file} exists already; to continue an interrupted pruning, use --exported"
            raise InvalidFieldError("to", why)
        with whole(self.file, folder=False) as partial, partial.open("wb") as out:
            write_history(out, source.selection, source.events())
            out.flush()
            os.fsync(out.fileno())
        folder = os.open(self.file.resolve().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _found(file: Path, events: Iterable[RecordedEvent]) -> Counter[str]:
    """Returns the number of events that the file holds of each job."""
    counts = Counter[str]()
    lines = _lines(file)
    number, line = next(lines, (0, None))
    for event in events:
        while line is not None and line["position"] < event.position:
            number, line = next(lines, (0, None))
        if line is None or line["position"] > event.position:
            continue
        if _stored(orjson.loads(orjson.dumps(history_json(event)))) != _stored(line):
            raise InputError(str(file), number, f"is not the event at position {event.position}")
        counts[event.name] += 1
    for _ in lines:
        pass  # Read to the end: a truncated file is not an export.
    return counts


def _stored(line: JsonObject) -> JsonObject:
    return {key: value for key, value in line.items() if key != DERIVED}


def _lines(file: Path) -> Iterator[tuple[int, Any]]:
    """Yields the file's events with their line numbers; raises InputError for an incomplete history."""
    number = events = 0
    ended = False
    for number, text in numbered_lines(file):
        line = _object(file, number, text)
        if number == 1:
            _check_head(file, line)
        elif "end" in line:
            ended = line.get("events") == events
        elif ended or not isinstance(line.get("position"), int):
            raise InputError(
                str(file), number, "is not an event of an exported history (--format jsonl)"
            )
        else:
            events += 1
            yield number, line
    if not ended:
        raise InputError(str(file), number, "is incomplete: its last line, the end, is missing")


def _object(file: Path, number: int, text: bytes) -> JsonObject:
    try:
        line = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(str(file), number, f"is not JSON: {error}") from None
    if not isinstance(line, dict):
        raise InputError(str(file), number, f"must be a JSON object, not {json_type(line)}")
    return line


def _check_head(file: Path, line: JsonObject) -> None:
    if (line.get("jobledger"), line.get("version")) != ("history", HISTORY_VERSION):
        why = f"is not the first line of an exported history of version {HISTORY_VERSION}"
        raise InputError(str(file), 1, why)
