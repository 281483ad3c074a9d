"""The trace of a cluster, imported once for all processes of a test run."""

from __future__ import annotations

import fcntl
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from jobledger.domain.job import Job
from jobledger.domain.values.moments import Moment
from jobledger.infra import Ledger
from jobledger.infra.transfer.traces.google_cluster import Kind
from jobledger.infra.transfer.traces.import_trace import Importer, Summary

from tests.databases import drop_database, find_server, home, make_database
from tests.schemas import make_ledger


class Answer(NamedTuple):
    """What was asked after a file was imported, just before the moment was sealed, and what was said."""

    summary: Summary
    moment: Moment
    counts: dict[str | None, int]
    newest: list[Job]


class Trace(NamedTuple):
    """Where the trace is, and what was answered while it was imported."""

    dsn: str
    name: str
    answers: list[Answer]


@contextmanager
def opened_trace(folder: Path) -> Iterator[tuple[Ledger, list[Answer]]]:
    """The ledger of a trace's job events; the first process of a run imports them, file by file."""
    with (home() / "trace.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _kept().exists():
            _kept().write_bytes(pickle.dumps(_imported(folder)))
    trace: Trace = pickle.loads(_kept().read_bytes())
    with Ledger.open(trace.dsn, trace.name) as ledger:
        yield ledger, trace.answers


def drop_trace() -> None:
    """Drops the database of the trace, if it was imported."""
    if _kept().exists():
        drop_database(find_server(), "trace")


def _imported(folder: Path) -> Trace:
    dsn = make_database(find_server(), "trace")
    name = make_ledger(dsn)
    answers = []
    with Ledger.open(dsn, name) as ledger:
        for file in sorted(folder.glob("*.csv.gz")):
            summary = Summary(str(file))
            Importer(ledger, "trace", Kind.JOB).run(file, summary)
            moment = ledger.moment("now", "recorded")
            answers.append(Answer(summary, moment, ledger.count().counts, ledger.list(limit=40)))
    return Trace(dsn, name, answers)


def _kept() -> Path:
    return home() / "trace.pickle"
