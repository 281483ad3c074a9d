"""Imports a trace's files; how far each was imported is written in the transaction of its events.

A file is identified by a digest of its rows, not by its name: importing it again adds nothing, and
importing more of it (after an interrupted download, for example) adds the rest. A row of another
file is identified by its job, time and report, so a corrected file adds its corrections. Rows that
cannot be read are named every time.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.job import Job
from jobledger.infra.errors import InputError
from jobledger.infra.eventstore.commit.appender import READ_JOBS
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.read.store import Store
from jobledger.infra.transfer.traces.google_cluster import BadRowError, Kind, Row, read_row
from jobledger.infra.transfer.traces.import_write import Key, RowsWrite
from jobledger.infra.transfer.traces.trace_rows import (
    CHUNK,
    Progress,
    check_kind,
    chunks_of,
    lines_of,
)
from jobledger.projections.jobs import job_of

READ_PROGRESS: Final = sql.load(__package__, "read_progress")


@dataclass
class Summary:
    """The numbers of a file's rows.

    `before`, `imported`, `after_the_trace` and the bad rows sum up to `rows`.
    """

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
    """Imports traces into one project of a ledger; with `dry_run` it only counts.

    A dry run compares each file with the ledger, and not with the files before it.
    """

    def __init__(self, store: Store, project: str, kind: Kind, *, dry_run: bool = False) -> None:
        self._store = store
        self._project = project
        self._kind = kind
        self._overlay: dict[str, Job] | None = {} if dry_run else None
        """Jobs as a dry run would have left them; None if this is none."""
        self._known_until = 0
        self._met: Counter[Key] = Counter()
        """How often rows of this file were known again."""

    def run(self, file: Path, summary: Summary, progress: Progress = lambda read: None) -> None:
        """Imports one file, plain or gzip, and counts in `summary`; bad rows are left out.

        Raises InputError for a file that cannot be read completely, after importing what can be,
        and for a file of another kind, of which nothing is imported.
        """
        check_kind(file, self._kind)
        self._known_until, self._met = self._store.reader.size(), Counter()
        before, digest = self._resume(file)
        lines = enumerate(lines_of(file, progress), start=1)
        for known in chunks_of(islice(lines, before)):
            summary.before += len(self._rows(known, summary))
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
        """Returns how many of the file's rows were imported before, and their digest."""
        with self._store.reader.connection() as connection, translated():
            place = (self._project, self._kind)
            known = set(connection.execute(READ_PROGRESS, place).fetchall())
        digest, best = hashlib.sha256(), (0, hashlib.sha256())
        counts = {rows for rows, _ in known}
        with suppress(InputError):  # Raised when it is read in earnest.
            for number, line in enumerate(lines_of(file), start=1) if known else ():
                digest.update(line)
                if number in counts and (number, digest.digest()) in known:
                    best = number, digest.copy()
        return best

    def _rows(self, chunk: list[tuple[int, bytes]], summary: Summary) -> list[Row]:
        """Yields the reports of these lines; counts the lines, and notes bad ones."""
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
        return rows

    def _write(
        self, chunk: list[tuple[int, bytes]], mark: bytes | None, new_mark: bytes, summary: Summary
    ) -> None:
        rows = self._rows(chunk, summary)
        place = (self._project, self._kind.value, mark, new_mark, summary.rows, summary.file)
        write = RowsWrite(rows, place, self._known_until, self._met)
        if self._overlay is None:
            self._store.writer.submit(write)
        else:
            self._rehearse(write, self._overlay)
        self._met.update(write.known)
        summary.before += write.known.total()
        summary.imported += len(rows) - write.known.total()
        summary.events += len(write.rows)
        summary.contradicted += write.contradicted

    def _rehearse(self, write: RowsWrite, overlay: dict[str, Job]) -> None:
        """Decides rows as if the decisions before had been written."""
        with self._store.reader.connection() as connection, translated():
            names = [name for name in write.names if name not in overlay]
            jobs = {name: overlay.get(name) or Job(name=name) for name in write.names}
            for row in connection.execute(READ_JOBS, (names,)):
                jobs[row[0]] = job_of(row)
            write.plan(connection, jobs)
        overlay.update(jobs)
