"""Imports a trace's files, and remembers how far each came, in the transaction that writes its events.

A file is known by a digest of its rows, not by its name: importing it again adds
nothing, and importing more of it (a download that broke off, say) adds the rest.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import Contradicted, Event
from jobledger.domain.job import Job, evolve
from jobledger.infra.errors import InputError
from jobledger.infra.eventstore.appender import Appender
from jobledger.infra.eventstore.pending import Pending
from jobledger.infra.eventstore.stored_event import Placed, row_of
from jobledger.infra.eventstore.stored_event import Row as EventRow
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.read.store import Store
from jobledger.infra.transfer.google_cluster import BadRowError, Kind, Row, facts, read_row
from psycopg import errors

READ_PROGRESS: Final = sql.load(__package__, "read_progress")
WRITE_PROGRESS: Final = sql.load(__package__, "write_progress")
CLEAR_PROGRESS: Final = sql.load(__package__, "clear_progress")
CHUNK: Final = 2_000
"""Rows in one transaction."""
ACTOR: Final = "import"

Progress = Callable[[int], object]
"""Told how many bytes of the file were read."""


@dataclass
class Summary:
    """What became of a file's rows; `before`, `imported`, `after_the_trace` and the bad add up to `rows`."""

    file: str
    rows: int = 0
    before: int = 0
    """Imported by an earlier import."""
    imported: int = 0
    after_the_trace: int = 0
    bad: list[InputError] = field(default_factory=list)
    events: int = 0
    contradicted: int = 0


class Importer:
    """Writes traces into one project of a ledger."""

    def __init__(self, store: Store, project: str, kind: Kind) -> None:
        self._store = store
        self._project = project
        self._kind = kind

    def run(self, file: Path, summary: Summary, progress: Progress = lambda read: None) -> None:
        """Imports one file, gzip'd or not, counting in `summary`; bad rows are left out.

        Raises InputError for a file that cannot be read to its end, once what could be is imported.
        """
        summary.before, digest = self._resume(file)
        summary.rows = summary.before
        lines = enumerate(_lines(file, progress), start=1)
        deque(islice(lines, summary.before), maxlen=0)
        broken: InputError | None = None
        while broken is None:
            chunk: list[tuple[int, bytes]] = []
            try:
                chunk.extend(islice(lines, CHUNK))
            except InputError as error:
                broken = error
            if not chunk:
                break
            mark = digest.digest() if summary.rows else None
            for _, line in chunk:
                digest.update(line)
            self._write(chunk, mark, digest.digest(), summary)
        if broken is not None:
            raise broken

    def _resume(self, file: Path) -> tuple[int, hashlib._Hash]:
        """How many of its rows were imported before, and the digest of those."""
        with self._store.reader.connection() as connection, translated():
            place = (self._project, self._kind)
            known = set(connection.execute(READ_PROGRESS, place).fetchall())
        digest, best = hashlib.sha256(), (0, hashlib.sha256())
        counts = {rows for rows, _ in known}
        with suppress(InputError):  # Told when it is read in earnest.
            for number, line in enumerate(_lines(file), start=1) if known else ():
                digest.update(line)
                if number in counts and (number, digest.digest()) in known:
                    best = number, digest.copy()
        return best

    def _write(
        self, chunk: list[tuple[int, bytes]], mark: bytes | None, new_mark: bytes, summary: Summary
    ) -> None:
        rows: list[Row] = []
        for number, line in chunk:
            try:
                row = read_row(self._kind, self._project, line)
            except (BadRowError, InvalidFieldError) as error:
                summary.bad.append(InputError(summary.file, number, str(error)))
                continue
            if row is None:
                summary.after_the_trace += 1
            else:
                rows.append(row)
        summary.rows += len(chunk)
        place = (self._project, self._kind.value, mark, new_mark, summary.rows, summary.file)
        write = _Import(rows, place)
        self._store.writer.submit(write)
        summary.imported += len(rows)
        summary.events += len(write.rows)
        summary.contradicted += write.contradicted


class _Import(Pending):
    """Some rows of a trace, decided on the jobs as they are when it is written."""

    alone = True

    def __init__(self, reports: Sequence[Row], place: tuple[Any, ...]) -> None:
        super().__init__()
        self.names = list(dict.fromkeys(row.name for row in reports))
        self._reports = reports
        self._place = place
        self.contradicted = 0

    def decide(self, jobs: dict[str, Job]) -> None:
        rows: list[EventRow] = []
        self.contradicted = 0
        for report in self._reports:
            job = jobs[report.name]
            for data in facts(report, job):
                event = Event(report.name, job.version + 1, data, report.time, ACTOR)
                rows.append(row_of(event, data.encode()))
                self.contradicted += isinstance(data, Contradicted)
                job = evolve(job, event)
            jobs[report.name] = job
        self.rows = rows

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        placed = super().write(appender, jobs)
        project, kind, mark, new_mark, rows, file = self._place
        try:
            appender.connection.execute(CLEAR_PROGRESS, (project, kind, mark))
            appender.connection.execute(WRITE_PROGRESS, (project, kind, new_mark, rows, file))
        except errors.UniqueViolation as error:
            raise InputError(file, 0, "is being imported by somebody else just now") from error
        return placed


def _lines(file: Path, progress: Progress = lambda read: None) -> Iterator[bytes]:
    """The lines of a file, gzip'd or not; raises InputError where it cannot be read on."""
    number = 0
    try:
        with file.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            source: Iterable[bytes] = gzip.GzipFile(fileobj=raw) if zipped else raw
            for number, line in enumerate(source, start=1):
                yield line
                if number % CHUNK == 0:
                    progress(raw.tell())
            progress(raw.tell())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            str(file), number + 1, f"the gzip is broken off or damaged: {error}"
        ) from error
    except OSError as error:
        raise InputError(str(file), 0, error.strerror or str(error)) from error
