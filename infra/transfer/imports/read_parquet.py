"""Reads the rows of a Parquet export in the order of positions; needs pyarrow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC
from heapq import heappop, heappush, heapreplace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from jobledger.infra.errors import InputError
from jobledger.infra.eventstore.stored_event import RecordedEvent

BATCH_ROWS: Final = 1_000
"""Rows of a file that are held at once."""
SMALL_BYTES: Final = 2**20
"""A file of at most this size is read whole: jobs of one day may come years apart, and a process has a limit of open files."""
_STORED: Final = RecordedEvent._fields[:10]
_TIMES: Final = ("occurred_time", "recorded_time")
_PREFIX: Final = "jobledger."


def read_about(file: Path) -> dict[str, str]:
    """Returns what the metadata says about the export: its ledger, moment and checkpoint.

    Args:
        file: A Parquet file.

    Returns:
        The values by key, such as "ledger".

    Raises:
        InputError: The file is not one of a ledger's exports.
    """
    try:
        metadata = pq.read_schema(file).metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(str(file), 0, f"is not a Parquet file: {error}") from None
    about = {
        key.decode().removeprefix(_PREFIX): value.decode()
        for key, value in metadata.items()
        if key.startswith(_PREFIX.encode())
    }
    if "ledger" not in about:
        raise InputError(
            str(file), 0, "is not an export of a ledger: its metadata has no jobledger.ledger"
        )
    return about


def read_rows(files: Sequence[Path]) -> Iterator[tuple[Path, RecordedEvent]]:
    """Yields the events of all files by position, each with its file.

    A file is read from when its first position is reached, so that files of later events take no memory.

    Args:
        files: The files; the rows of each are in the order of positions.

    Yields:
        The file, and the event, which is not checked.

    Raises:
        InputError: A file is damaged, or lacks a column.
    """
    waiting = deque(sorted((_first_position(file), file) for file in files))
    heads: list[tuple[int, int, Path, RecordedEvent, Iterator[RecordedEvent]]] = []
    while waiting or heads:
        while waiting and (not heads or waiting[0][0] <= heads[0][0]):
            _, file = waiting.popleft()
            rows = _rows(file)
            if (first := next(rows, None)) is not None:
                heappush(heads, (first.position, len(waiting), file, first, rows))
        if not heads:
            return
        _, number, file, event, rows = heads[0]
        yield file, event
        following = next(rows, None)
        if following is None:
            heappop(heads)
        else:
            heapreplace(heads, (following.position, number, file, following, rows))


def _first_position(file: Path) -> int:
    """Returns a file's lowest position by its statistics; 0 if it has none."""
    try:
        metadata = pq.read_metadata(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(str(file), 0, f"is not a Parquet file: {error}") from None
    names = metadata.schema.names
    missing = sorted({*_STORED, "data"} - {*names})
    if missing:
        raise InputError(str(file), 0, f"has no column {missing[0]}")
    if not metadata.num_row_groups:
        return 0
    statistics = metadata.row_group(0).column(names.index("position")).statistics
    return statistics.min if statistics is not None and statistics.has_min_max else 0


def _rows(file: Path) -> Iterator[RecordedEvent]:
    try:
        with _opened(file) as opened:
            for batch in opened.iter_batches(BATCH_ROWS, columns=[*_STORED, "data"]):
                yield from map(_event, batch.to_pylist())
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(str(file), 0, f"cannot be read: {error}") from None


def _opened(file: Path) -> Any:
    if file.stat().st_size > SMALL_BYTES:
        return pq.ParquetFile(file, memory_map=True)
    return pq.ParquetFile(pa.BufferReader(file.read_bytes()))


def _event(row: dict[str, Any]) -> RecordedEvent:
    given = {field: row[field] for field in _STORED}
    times = {field: row[field].astimezone(UTC) for field in _TIMES}
    return RecordedEvent(**given | times, stored=row["data"].encode())
