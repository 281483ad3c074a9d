"""Imports our own exports into another ledger: to merge ledgers, to migrate one, or to restore it.

Events are written as they are: name, version, type, schema, data, times and who. They get positions
and recorded times of this ledger. Where they had been, in which ledger and under which checkpoint, is
recorded in the same transaction, as an event `Imported` of the ledger's own stream `ledger/imports`; so
that is in this ledger's log, too, and receipts of the origin can still be verified (see origins.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from jobledger.domain.job import Job
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.eventstore.commit.appender import FIND_EVENTS, READ_VERSIONS, Appender
from jobledger.infra.eventstore.json_view import required_time
from jobledger.infra.eventstore.ledger_events import check_owner
from jobledger.infra.eventstore.stored_event import Placed, RecordedEvent, Row, foreign_row
from jobledger.infra.eventstore.writes.decided_write import DecidedWrite, placed_names
from jobledger.infra.read.store import Store
from jobledger.infra.transfer.imports.exported import Origin, batches, open_export
from jobledger.infra.transfer.imports.origins import IMPORTED, STREAM, known_places

BATCH_EVENTS: Final = 2_000
_FIRST: Final = 2
"""The index of the name in a found row."""
Progress = Callable[[int], object]
"""Called from time to time with the number of events read so far."""


@dataclass
class HistoryImport:
    """The outcome of an import of an export.

    Attributes:
        file: The file or folder.
        origin: The ledger that the export is of.
        events: How many events were read.
        written: How many of them were written.
        repeated: How many were stored already, the same at the same version.
        jobs: How many jobs they are of.
        forks: The jobs of which another event is stored at a version, or earlier events are
            missing: by name, what was found. Nothing of a fork was written.
    """

    file: str
    origin: str = ""
    events: int = 0
    written: int = 0
    repeated: int = 0
    forks: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    @property
    def jobs(self) -> int:
        """How many jobs the events are of."""
        return len(self.names)


def import_history(
    store: Store, file: Path, actor: str | None = None, progress: Progress = lambda done: None
) -> HistoryImport:
    """Imports an export of this or another ledger, unchanged.

    An event that is stored already, the same at the same version, is skipped, so that an import can
    be repeated. Where another event is stored at that version, the job forks: its events from there
    on are not written, and the fork is named.

    Args:
        store: The ledger.
        file: A jsonl or CloudEvents file (plain or gzip), or a Parquet folder or file.
        actor: The user who asks for it.
        progress: Called now and then with the number of events read so far.

    Returns:
        What was written, and which jobs fork.

    Raises:
        InputError: The file is not a complete export; what was read before stays imported.
        OwnerNeededError: The database user does not own the ledger's tables.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> from jobledger import Format, Selection
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> wanted = Selection(ledger.name, ledger.moment())
        >>> _ = ledger.export(wanted, Format.JSONL, folder / "mine.jsonl")
        >>> done = ledger.import_history(folder / "mine.jsonl")
        >>> done.written, done.repeated
        (0, 1)
    """
    check_owner(store.reader.pool, "to import histories")
    exported = open_export(Path(file))
    done = HistoryImport(str(file), exported.origin.ledger)
    places = known_places(store.reader, exported.origin.ledger)
    for batch in batches(exported.events, BATCH_EVENTS):
        write = _ImportWrite(batch, exported.origin, done.forks, places, actor)
        store.writer.submit(write)
        done.events += len(batch)
        done.names.update(event.name for event in batch)
        done.written += len(write.new)
        done.repeated += write.repeated
        done.forks |= write.forks
        places |= write.noted
        progress(done.events)
    return done


class _ImportWrite(DecidedWrite):
    """The next events of an export, and where they come from; decided on what is stored then."""

    def __init__(
        self,
        events: Sequence[RecordedEvent],
        origin: Origin,
        forks: dict[str, str],
        places: set[tuple[str, int]],
        actor: str | None,
    ) -> None:
        super().__init__([], [event.event for event in events])
        self.alone = True
        self.new: list[RecordedEvent] = []
        self.repeated = 0
        self.forks: dict[str, str] = {}
        self.noted: set[tuple[str, int]] = set()
        self._given = [event for event in events if event.name not in forks]
        self._origin = origin
        self._places = places
        self._actor = actor

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        self.new, self.repeated, self.forks, self.noted = [], 0, {}, set()
        self.assumed_new = {}
        versions = _versions(appender, [*{event.name for event in self._given}, STREAM])
        stored = _stored(appender, self._given)
        origins = [event for event in self._given if self._sort(event, versions, stored)]
        if not origins and not self.new:
            return None
        self._events = [event.event for event in self.new]
        self.past_names = placed_names(self._events)
        record = foreign_row(
            STREAM, versions.get(STREAM, 0) + 1, IMPORTED, self._record(origins), self._actor
        )
        self.rows = [*map(_row, self.new), record]
        return super().write(appender, jobs)

    def _sort(
        self,
        event: RecordedEvent,
        versions: dict[str, int],
        stored: dict[tuple[str, int], tuple[Any, ...]],
    ) -> bool:
        """Finds out whether an event is new, repeated, or of a fork; returns whether to note its origin."""
        if event.name in self.forks:
            return False
        last = versions.get(event.name, 0)
        if event.version == last + 1:
            versions[event.name] = event.version
            self.new.append(event)
        elif event.version > last:
            why = f"its events from version {last + 1} to {event.version - 1} are missing"
            self.forks[event.name] = why
            return False
        elif (row := stored.get((event.name, event.version))) is None or row[4:] != _content(event):
            found = "another event" if row is None else row[4]
            self.forks[event.name] = (
                f"version {event.version} is {found} here, and {event.type} there"
            )
            return False
        else:
            self.repeated += 1
            if row[:2] == (event.position, event.recorded_time):
                return False  # The export is of this ledger.
        place = event.name, event.version
        if place in self._places:
            return False
        self.noted.add(place)
        return True

    def _record(self, origins: Sequence[RecordedEvent]) -> bytes:
        places: dict[str, list[list[Any]]] = {}
        for event in origins:
            place = [event.version, event.position, required_time(event.recorded_time)]
            places.setdefault(event.name, []).append(place)
        data: JsonObject = {"ledger": self._origin.ledger, "events": places}
        if self._origin.checkpoint:
            data["checkpoint"] = self._origin.checkpoint
        return canonical.encode(data)


def _versions(appender: Appender, names: Sequence[str]) -> dict[str, int]:
    return dict(appender.connection.execute(READ_VERSIONS, (list(names),)).fetchall())


def _stored(
    appender: Appender, events: Sequence[RecordedEvent]
) -> dict[tuple[str, int], tuple[Any, ...]]:
    places = [event.name for event in events], [event.version for event in events]
    rows = appender.connection.execute(FIND_EVENTS, places).fetchall()
    return {(row[_FIRST], row[_FIRST + 1]): row for row in rows}


def _content(event: RecordedEvent) -> tuple[Any, ...]:
    """Returns the values by which events of a version are compared, in the order of a found row."""
    return (
        event.type, event.stored, event.occurred_time, event.actor, event.request_id,
        event.trace_parent,
    )  # fmt: skip


def _row(event: RecordedEvent) -> Row:
    """The event as `append` takes it: its data as it was stored, of its own schema."""
    row = {
        "name": event.name, "version": event.version, "schema": event.schema, "type": event.type,
        "occurred_time": event.occurred_time, "data": event.stored.decode(),
    }  # fmt: skip
    about = {key: getattr(event, key) for key in ("actor", "request_id", "trace_parent")}
    row |= {key: value for key, value in about.items() if value is not None}
    return Row(event.name, event.version, orjson.dumps(row)[:-1])
