"""Writes the reports of OpenLineage events: those of one event are decided and committed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jobledger.domain.errors import LedgerError, PastNeededError
from jobledger.domain.job import Job, absent
from jobledger.infra.eventstore.stored_event import Row, encoded_row
from jobledger.infra.eventstore.write_path import ObservedEvent
from jobledger.infra.eventstore.writes.bulk import Values, time_of
from jobledger.infra.eventstore.writes.observations import Decisions, Introduction
from jobledger.infra.eventstore.writes.observed_write import FIND_MADE
from jobledger.infra.eventstore.writes.pending import Pending
from jobledger.infra.postgres.connections import reading_again, translated
from jobledger.infra.read.reader import Reader
from jobledger.infra.sources.openlineage.history import MAIN, EventReports
from jobledger.projections.jobs import change


class LineageWrite(Pending):
    """The reports of one event about a run or a job, written atomically.

    The request ids are made of all that the event says, so one that was used before was used for
    the same event. Few events come twice, so it is left to `append` to find that.
    """

    looks_up = False

    def __init__(self, reports: EventReports, find: Callable[[str], Job | None]) -> None:
        """Decides ahead, on the cached job.

        Args:
            reports: What the event reports.
            find: Finds a job as this process knows it; None for one that it does not know.
        """
        super().__init__()
        self.reports = reports
        self.name = reports.name
        self.names = (reports.name,)
        self.request_id = reports.request_id
        self.request_key = reports.request_keys[MAIN]
        self._before: Job | None = None
        self._after: Job
        self._decide_ahead(find(reports.name))

    def decide(self, jobs: dict[str, Job]) -> None:
        """Decides again, unless the job is the one on which it was decided."""
        job = jobs[self.name]
        if self._before is not job or self.pasts:
            self._decide(job)
        jobs[self.name] = self._after

    def _decide_ahead(self, job: Job | None) -> None:
        """Decides ahead, unless the report's run has not begun yet, as its first report may be arriving."""
        known_runs = () if job is None else job.run_ids[-1:]
        if not self.reports.begins and self.reports.run_id not in known_runs:
            return
        try:
            self._decide(job or absent(self.name))
        except LedgerError:
            return  # It is decided again on the job's current state.
        if job is None and self._before is not None:
            self.assumed_new = {self.name: self._before}

    def _decide(self, job: Job) -> None:
        self._before, self.rows, self.prepared = None, (), {}
        decisions = Decisions({self.name: job}, {}, self.pasts)
        decisions.decide_all(self.reports.all)
        if decisions.past_needed:
            self.alone, self.past_names = True, self.names
        for outcome in decisions.outcomes:
            if outcome.error is not None:
                raise outcome.error
        after = decisions.jobs[self.name]
        self._before, self._after = job, after
        self.rows = [_row_of(values) for values in decisions.made]
        self.prepared = {self.name: change(job, after)}


def late_writes(writes: Sequence[LineageWrite]) -> list[LineageWrite]:
    """Returns the writes that need all events of their job; each is submitted again, with its own transaction."""
    late = [write for write in writes if isinstance(write.error, PastNeededError)]
    for write in late:
        write.error = None
    return late


def observed(reports: EventReports) -> list[ObservedEvent]:
    """Returns the same reports for the writer, which encrypts them, if one has personal values."""
    made = (each.make() if isinstance(each, Introduction) else each for each in reports.all)
    return [ObservedEvent(each.name, each.data, each.about, each.judge) for each in made]


@reading_again
def count_recorded(reader: Reader, writes: Sequence[LineageWrite]) -> list[int]:
    """Returns for each of these writes how many events the same OpenLineage event wrote before."""
    keys = [key for write in writes for key in write.reports.request_keys]
    with translated(), reader.connection() as connection:
        found = connection.execute(FIND_MADE, (list(dict.fromkeys(keys)),)).fetchall()
    counts = {key: count for key, _, count in found}
    return [sum(counts.get(key, 0) for key in write.reports.request_keys) for write in writes]


def _row_of(values: Values) -> Row:
    """Returns the event with these values as `append` takes it."""
    occurred, version, schema, type_, name, encoded, actor, request_id, _ = values
    return encoded_row(name, version, schema, type_, time_of(occurred), encoded, actor, request_id)
