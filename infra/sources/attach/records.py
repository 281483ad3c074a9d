"""Converts changes and rows of a followed database into the records that a mapping reads."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobledger.infra.sources.attach.pgoutput import RowChange
from jobledger.infra.sources.mapping.values import plain


def record_of(change: RowChange, time: str) -> dict[str, Any]:
    """Returns a change as a record: the new row's fields, the old row as `old`, and which fields changed.

    Args:
        change: The change; its rows become part of the record.
        time: When its transaction was committed, in ISO 8601.

    Returns:
        The record.
    """
    op, _, table, new, old = change
    if old:
        row = new or dict(old)
        changed = [key for key, value in new.items() if old.get(key) != value]
    else:
        row = new
        changed = [key for key, value in new.items() if value is not None]
    row["table"], row["op"], row["old"] = table, op, old
    row["changed"], row["commit_time"] = changed, time
    return row


def snapshot_record(table: str, row: dict[str, Any], time: datetime) -> dict[str, Any]:
    """Returns an existing row as a record, as if it was inserted at that time."""
    about = {
        "table": table.rpartition(".")[2],
        "op": "snapshot",
        "old": {},
        "changed": list(row),
        "commit_time": time.isoformat(),
    }
    return {**plain(row), **about}
