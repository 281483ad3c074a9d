"""Judges what clients were promised: from their logs and the rows of `events`, without the ledger's code.

Only answers about the past are asked for again through the ledger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import psycopg
from jobledger import Ledger

READ_EVENTS = "SELECT position, recorded_time, name, version, actor FROM events ORDER BY position"
READ_JOBS = "SELECT name, version, first_position, last_position FROM jobs"
MAX_NAMED = 20
"""The most findings that are printed in full."""
MAX_ASKED_AGAIN = 200


class Stored(NamedTuple):
    """An event as its row tells it."""

    position: int
    recorded: datetime
    name: str
    version: int
    marker: str


class Verdict(NamedTuple):
    """The number of checks, and the findings."""

    acknowledged: int
    refused: int
    unknown: int
    past: int
    fed: int
    findings: list[str]


def read_logs(folder: Path) -> list[list[dict[str, Any]]]:
    """The records of each process; one that was killed may have left half a line."""
    logs = []
    for file in sorted(folder.glob("*.jsonl")):
        whole = file.read_bytes().split(b"\n")[:-1]
        logs.append([orjson.loads(line) for line in whole])
    return logs


def judge(folder: Path, dsn: str, ledger: str) -> Verdict:
    """Judges all requests in a folder of clients' logs."""
    logs = read_logs(folder)
    records = [record for log in logs for record in log]
    with psycopg.connect(dsn, options=f"-c search_path=ledger_{ledger}") as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        events = [Stored(*row) for row in connection.execute(READ_EVENTS)]
        jobs = connection.execute(READ_JOBS).fetchall()
        (size,) = connection.execute("SELECT size FROM head").fetchone() or (0,)
    findings = [
        *_order(events, size),
        *_rows(events, jobs),
        *_promises(events, records),
        *_real_time(records),
    ]
    fed = 0
    for log in logs:
        positions = [(r["position"], r["name"], r["version"]) for r in log if r["kind"] == "fed"]
        fed += len(positions)
        findings += _feed(events, positions)
    past = [record for record in records if record["kind"] == "past"]
    findings += _past(past, dsn, ledger)
    kinds = Counter(record["kind"] for record in records)
    return Verdict(kinds["done"], kinds["refused"], kinds["unknown"], len(past), fed, findings)


def _order(events: Sequence[Stored], size: int) -> Iterable[str]:
    """Positions and versions without gaps, and recorded times that never run backwards."""
    if size != len(events):
        yield f"head says {size} events, and there are {len(events)}"
    versions: dict[str, int] = defaultdict(int)
    before: Stored | None = None
    for expected, event in enumerate(events, 1):
        if event.position != expected:
            yield f"position {event.position} where {expected} should be"
            return
        if before is not None and event.recorded < before.recorded:
            yield f"position {expected} was recorded before the one before it"
        versions[event.name] += 1
        if event.version != versions[event.name]:
            yield f"{event.name} has version {event.version} where {versions[event.name]} should be"
        before = event


def _rows(events: Sequence[Stored], jobs: Iterable[tuple[Any, ...]]) -> Iterable[str]:
    """Each job's row is of its last event."""
    expected: dict[str, tuple[int, int, int]] = {}
    for event in events:
        first = expected.get(event.name, (0, event.position, 0))[1]
        expected[event.name] = (event.version, first, event.position)
    shown = {name: tuple(row) for name, *row in jobs}
    for name in expected.keys() | shown.keys():
        if expected.get(name) != shown.get(name):
            yield f"the row of {name} is {shown.get(name)}, and its events say {expected.get(name)}"


def _promises(events: Sequence[Stored], records: Iterable[dict[str, Any]]) -> Iterable[str]:
    """Checks that acknowledged writes are stored once, and refused ones are not."""
    stored: dict[str, list[Stored]] = defaultdict(list)
    for event in events:
        stored[event.marker].append(event)
    asked = {record["marker"] for record in records if record["kind"] == "asked"}
    for marker, found in stored.items():
        if marker not in asked:
            yield f"an event of {marker!r} is there that nobody asked for"
        if len(found) > 1:
            yield f"{marker} was written {len(found)} times"
    for record in records:
        found = stored.get(record.get("marker", ""), [])
        if record["kind"] == "done" and [(e.name, e.version) for e in found] != [
            (record["name"], record["version"])
        ]:
            yield f"{record['marker']} was acknowledged as {record['version']}, and {found} is there"
        if record["kind"] == "refused" and found:
            yield f"{record['marker']} was refused ({record['error']}), and is there"


def _real_time(records: Iterable[dict[str, Any]]) -> Iterable[str]:
    """Of two writes to a job, one that had ended when the other began has the lower version.

    The begin of a repeated request is that of its first attempt, so this holds with repeats too.
    """
    done: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        if record["kind"] == "done":
            done[record["name"]].append(record)
    for name, writes in done.items():
        writes.sort(key=lambda write: write["version"])
        earliest_end = float("inf")
        for write in reversed(writes):
            if earliest_end < write["began"]:
                yield f"{name} version {write['version']} began after a later version had ended"
            earliest_end = min(earliest_end, write["ended"])


def _feed(events: Sequence[Stored], fed: Sequence[tuple[int, str, int]]) -> Iterable[str]:
    """The feed has each event once, in order, from the first on."""
    expected = [(event.position, event.name, event.version) for event in events[: len(fed)]]
    if list(fed) != expected:
        pairs = zip(fed, expected, strict=False)
        at = next((n for n, (had, was) in enumerate(pairs) if had != was), len(expected))
        yield f"the feed differs from the events at its item {at + 1}"


def _past(past: Sequence[dict[str, Any]], dsn: str, ledger: str) -> Iterable[str]:
    """Checks that answers about the past are repeated exactly."""
    with Ledger.open(dsn, ledger) as opened:
        for record in past[:: max(1, len(past) // MAX_ASKED_AGAIN)]:
            at = record["at"]
            counts = opened.count(as_of=at).counts
            jobs = [[job.name, job.version] for job in opened.list(as_of=at, limit=5)]
            if counts != record["counts"] or jobs != record["jobs"]:
                yield f"as of {at} the answer is another one than before"
