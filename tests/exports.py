"""A past to export, and exports of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jobledger.infra import Ledger
from jobledger.infra.transfer.exports.export import Format, export
from jobledger.infra.transfer.exports.selection import Selection

A, B, GONE = (f"projects/p/jobs/{job}" for job in ("a", "b", "gone"))
BEGIN = datetime(2026, 6, 1, 23, 50, tzinfo=UTC)
SPEC = {"z": [0.1, None, "\x1f"], "é": 1e21, "a": 2**53 - 1}


def at(minutes: int) -> datetime:
    return BEGIN + timedelta(minutes=minutes)


def write_past(ledger: Ledger) -> None:
    """Two jobs of which one was retried, contradicted and reported late; and one that was deleted."""
    ledger.create(A, {"team": "x"}, SPEC, occurred_time=at(0), actor="ann")
    ledger.create(B, occurred_time=at(1), request_id="r1")
    ledger.started(A, {"worker": "node-7"}, occurred_time=at(5))
    ledger.failed(A, {"code": 8, "message": "out of memory"}, occurred_time=at(20))
    ledger.succeeded(A, occurred_time=at(21), trace_parent=f"00-{'a' * 32}-{'b' * 16}-01")
    ledger.retry(A, occurred_time=at(30))
    ledger.preparing(B, occurred_time=at(31))
    ledger.started(A, occurred_time=at(40))
    ledger.progress_reported(A, {"output": {"done": 3}}, occurred_time=at(35))
    ledger.started(B, occurred_time=at(3))
    ledger.create(GONE, occurred_time=at(2))
    ledger.cancel(GONE, occurred_time=at(4))
    ledger.delete(GONE, occurred_time=at(6))


def selection(ledger: Ledger, name: str = "", as_of: str | None = None, **more: Any) -> Selection:
    moment = ledger.moment(as_of, more.get("clock"), name)
    return Selection(ledger.name, moment, name, more.get("filter", ""))


def exported(
    ledger: Ledger, to: Path, name: str = "", as_of: str | None = None, **more: Any
) -> Path:
    export(ledger.reader, selection(ledger, name, as_of, **more), Format.JSONL, to)
    return to
