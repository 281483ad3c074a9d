"""Changes and rows of a followed database, as the records that a mapping reads."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobledger.infra.sources.attach.pgoutput import RowChange
from jobledger.infra.sources.mapping.values import plain


def record_of(change: RowChange, time: datetime) -> dict[str, Any]:
    """A change as a record: the new row's fields, the old row as `old`, and which fields changed."""
    row = change.new or change.old
    changed = [key for key, value in change.new.items() if change.old.get(key) != value]
    about = {
        "table": change.table,
        "op": change.op,
        "old": dict(change.old),
        "changed": changed,
        "commit_time": time.isoformat(),
    }
    return {**row, **about}


def snapshot_record(table: str, row: dict[str, Any], time: datetime) -> dict[str, Any]:
    """A row that was there at that time as a record, as one that was inserted is."""
    about = {
        "table": table.rpartition(".")[2],
        "op": "snapshot",
        "old": {},
        "changed": list(row),
        "commit_time": time.isoformat(),
    }
    return {**plain(row), **about}
