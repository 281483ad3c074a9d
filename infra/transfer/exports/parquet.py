"""Events as Parquet, partitioned by the day (UTC) they occurred, and by the kind of their jobs if wanted.

Events are sorted by partition, so one file is open at a time, with one row group in memory.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from jobledger.domain.values.names import kind_of, project_of
from jobledger.infra.eventstore.feed import ENTERED
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.transfer.exports.manifest import Part
from jobledger.infra.transfer.exports.partitions import PART, Partition
from jobledger.infra.transfer.exports.selection import Selection

ROW_GROUP: Final = 50_000
GROUP_BYTES: Final = 64 * 2**20
"""Bytes of data in a row group, which holds fewer events if they are large."""
_TIME: Final = pa.timestamp("us", tz="UTC")
COLUMNS: Final = {
    "position": pa.int64(),
    "name": pa.string(),
    "project": pa.string(),
    "kind": pa.string(),
    "version": pa.int32(),
    "type": pa.string(),
    "state": pa.string(),
    "schema": pa.int16(),
    "occurred_time": _TIME,
    "recorded_time": _TIME,
    "actor": pa.string(),
    "request_id": pa.string(),
    "trace_parent": pa.string(),
    "data": pa.string(),
    "effective_time": _TIME,
    "entered_state": pa.string(),
}
"""`state` is what the job is known to be in after the event, `data` the canonical JSON as it is stored.

In valid time the event took effect at `effective_time`, and led to `entered_state`, if to any.
"""
PARTITION_BY: Final = "partitionBy"
"""The key of the metadata that says how the files are partitioned; without it by day."""
_MAY_BE_NULL: Final = frozenset({"state", "entered_state", "actor", "request_id", "trace_parent"})


def write(
    folder: Path, wanted: Selection, events: Iterable[RecordedEvent], partition_by: Partition
) -> list[Part]:
    """Writes a file for each partition with events, which must be sorted by partition and position.

    The metadata under `jobledger.` names the ledger and the moment.

    Args:
        folder: The folder to write to, which exists.
        wanted: The selection that the events are of.
        events: The events.
        partition_by: How the files are partitioned.

    Returns:
        The files.
    """
    schema = schema_of(wanted, partition_by)
    parts = []
    for name, of_part in groupby(events, key=partition_by.folder_of):
        (folder / name).mkdir(parents=True)
        path = f"{name}/{PART}"
        counted = _Counted(of_part)
        with pq.ParquetWriter(folder / path, schema, compression="zstd") as writer:
            for group in _groups(counted):
                writer.write_table(_table(group, schema))
        parts.append(Part(path, counted.count, counted.first, counted.last))
    return parts


def schema_of(wanted: Selection, partition_by: Partition) -> Any:
    """Returns the columns, without those that are in the paths, with the export's metadata."""
    fields = [
        pa.field(name, type_, name in _MAY_BE_NULL)
        for name, type_ in COLUMNS.items()
        if name not in partition_by.columns
    ]
    about = wanted.json()
    if partition_by is not Partition.DAY:
        about |= {PARTITION_BY: partition_by.value}
    return pa.schema(fields, {f"jobledger.{key}": str(value) for key, value in about.items()})


class _Counted:
    """Counts events while they are iterated over, and notes the first and the last position."""

    def __init__(self, events: Iterator[RecordedEvent]) -> None:
        self._events = events
        self.count = self.first = self.last = 0

    def __iter__(self) -> Iterator[RecordedEvent]:
        for event in self._events:
            self.count += 1
            self.first = self.first or event.position
            self.last = event.position
            yield event


def _groups(events: Iterable[RecordedEvent]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    for event in events:
        group.append(_row(event))
        size += len(event.stored)
        if len(group) >= ROW_GROUP or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _table(rows: list[dict[str, Any]], schema: Any) -> Any:
    columns = [pa.array([row[field.name] for row in rows], field.type) for field in schema]
    return pa.table(columns, schema)


def _row(event: RecordedEvent) -> dict[str, Any]:
    """Returns the values by column."""
    entered = ENTERED.get(event.type)
    return event._asdict() | {
        "project": project_of(event.name),
        "kind": kind_of(event.name),
        "state": None if event.state is None else event.state.name,
        "data": bytes(event.stored).decode(),
        "effective_time": event.taken_time,
        "entered_state": None if entered is None else entered.name,
    }
