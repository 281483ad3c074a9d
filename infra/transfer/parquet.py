"""Events as Parquet, partitioned by the day (UTC) they occurred: `day=2011-05-02/part-0.parquet`.

Events are sorted by day, so one file is open at a time, with one row group in memory.
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
from jobledger.infra.transfer.selection import Selection

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
_MAY_BE_NULL: Final = frozenset({"state", "entered_state", "actor", "request_id", "trace_parent"})


def write(folder: Path, wanted: Selection, events: Iterable[RecordedEvent]) -> None:
    """Writes a file for each day with events, which must be sorted by day.

    The metadata under `jobledger.` names the ledger and the moment.
    """
    schema = schema_of(wanted)
    for day, of_day in groupby(events, key=lambda event: event.occurred_time.date()):
        part = folder / f"day={day}"
        part.mkdir()
        with pq.ParquetWriter(part / "part-0.parquet", schema, compression="zstd") as writer:
            for group in _groups(of_day):
                writer.write_table(_table(group, schema))


def schema_of(wanted: Selection) -> Any:
    """Returns the columns, with the export's metadata."""
    fields = [pa.field(name, type_, name in _MAY_BE_NULL) for name, type_ in COLUMNS.items()]
    metadata = {f"jobledger.{key}": str(value) for key, value in wanted.json().items()}
    return pa.schema(fields, metadata)


def _groups(events: Iterable[RecordedEvent]) -> Iterator[list[tuple[Any, ...]]]:
    group: list[tuple[Any, ...]] = []
    size = 0
    for event in events:
        group.append(_row(event))
        size += len(event.stored)
        if len(group) >= ROW_GROUP or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _table(rows: list[tuple[Any, ...]], schema: Any) -> Any:
    columns = zip(schema, zip(*rows, strict=True), strict=True)
    return pa.table([pa.array(values, field.type) for field, values in columns], schema)


def _row(event: RecordedEvent) -> tuple[Any, ...]:
    """Returns the values in the order of COLUMNS."""
    entered = ENTERED.get(event.type)
    values = event._asdict() | {
        "project": project_of(event.name),
        "kind": kind_of(event.name),
        "state": None if event.state is None else event.state.name,
        "data": bytes(event.stored).decode(),
        "effective_time": event.taken_time,
        "entered_state": None if entered is None else entered.name,
    }
    return tuple(values[column] for column in COLUMNS)
