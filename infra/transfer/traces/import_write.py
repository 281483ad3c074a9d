"""Writes rows of a trace in one transaction, except for those imported before."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from jobledger.domain.events import Contradicted, Event
from jobledger.domain.job import Job, evolve
from jobledger.domain.values import canonical
from jobledger.infra.errors import InputError
from jobledger.infra.eventstore.commit.appender import Appender
from jobledger.infra.eventstore.stored_event import Placed, row_of
from jobledger.infra.eventstore.stored_event import Row as EventRow
from jobledger.infra.eventstore.writes.pending import Pending
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.transfer.traces.google_cluster import Row, facts, report_of
from psycopg import errors

WRITE_PROGRESS: Final = sql.load(__package__, "write_progress")
CLEAR_PROGRESS: Final = sql.load(__package__, "clear_progress")
FIND_IMPORTED: Final = sql.load(__package__, "find_imported")
ACTOR: Final = "import"

Key = tuple[str, datetime, str]
"""The job, time and report of a row."""


class RowsWrite(Pending):
    """Rows of a trace, decided on the jobs as they are in the transaction."""

    alone = True

    def __init__(
        self,
        reports: Sequence[Row],
        place: tuple[Any, ...],
        known_until: int,
        met: Mapping[Key, int],
    ) -> None:
        """`known_until`: events up to that position were imported before; `met` are those of them met again."""
        super().__init__()
        self.names = list(dict.fromkeys(row.name for row in reports))
        self.contradicted = 0
        self.known: Counter[Key] = Counter()
        """The rows among them that were imported before."""
        self._reports = reports
        self._place = place
        self._known_until = known_until
        self._met = met
        self._imported: Counter[Key] = Counter()

    def plan(self, connection: Connection, jobs: dict[str, Job]) -> None:
        """Finds rows that were imported before, and decides the rest; updates `jobs`."""
        self._imported = self._find_imported(connection, jobs)
        self.decide(jobs)

    def decide(self, jobs: dict[str, Job]) -> None:
        """Decides which of the reports are events, on the jobs as they are; `jobs` become as they will be."""
        rows: list[EventRow] = []
        self.contradicted, self.known = 0, Counter()
        for report in self._reports:
            key = _key(report)
            if self.known[key] < self._imported[key]:
                self.known[key] += 1
                continue
            job = jobs[report.name]
            for data in facts(report, job):
                event = Event(report.name, job.version + 1, data, report.time, ACTOR)
                rows.append(row_of(event, data.encode()))
                self.contradicted += isinstance(data, Contradicted)
                job = evolve(job, event)
            jobs[report.name] = job
        self.rows = rows

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        """Writes the events, and how far the file was imported, in one transaction."""
        self._imported = self._find_imported(appender.connection, jobs)
        placed = super().write(appender, jobs)
        project, kind, mark, new_mark, rows, file = self._place
        try:
            appender.connection.execute(CLEAR_PROGRESS, (project, kind, mark))
            appender.connection.execute(WRITE_PROGRESS, (project, kind, new_mark, rows, file))
        except errors.UniqueViolation:
            raise InputError(
                file, 0, "is being imported by another process; wait for its end"
            ) from None
        return placed

    def _find_imported(self, connection: Connection, jobs: Mapping[str, Job]) -> Counter[Key]:
        """Returns how often rows like these were imported before, less those found already.

        Only rows that are not later than their job's last event can have been.
        """
        sought = [row for row in self._reports if _may_be_known(row, jobs[row.name])]
        if not sought:
            return Counter()
        asked = {
            "names": sorted({row.name for row in sought}),
            "times": sorted({row.time for row in sought}),
            "until": self._known_until,
            "actor": ACTOR,
        }
        found: Counter[Key] = Counter()
        for name, time, type_, data in connection.execute(FIND_IMPORTED, asked):
            if (report := report_of(type_, canonical.decode(data))) is not None:
                found[name, time, report] += 1
        found.subtract({key: self._met[key] for key in found if key in self._met})
        return found


def _key(row: Row) -> Key:
    return row.name, row.time, row.report.name


def _may_be_known(row: Row, job: Job) -> bool:
    return job.update_time is not None and row.time <= job.update_time
