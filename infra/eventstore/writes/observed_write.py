"""Writes a few thousand reports of other systems at once: they are decided ahead and written by COPY."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

from jobledger.domain.events import Event
from jobledger.domain.job import Job
from jobledger.infra.eventstore.commit.appender import Appender
from jobledger.infra.eventstore.stored_event import Placed, RecordedEvent, Row, row_of
from jobledger.infra.eventstore.writes.bulk import DATA, NAME, VERSION, BulkWrite, Encrypt, event_of
from jobledger.infra.eventstore.writes.observations import (
    Decisions,
    Introduction,
    Observation,
    Observed,
    Request,
)
from jobledger.infra.eventstore.writes.weight import JOB_BYTES
from jobledger.infra.postgres import sql

FIND_MADE: Final = sql.load(__package__, "find_made")
READ_HISTORIES: Final = sql.load(__package__, "read_histories")


class ObservedWrite(BulkWrite):
    """Reports on any jobs, in their order; reports that are recorded already are left out.

    They are decided on cached jobs, before any lock is taken. If another process
    wrote to one of the jobs, or if a report must be placed among a job's earlier events, all are
    decided again on the stored jobs, under the head's lock.
    """

    def __init__(
        self,
        observed: Sequence[Observation | Introduction],
        encrypt: Encrypt,
        find: Callable[[str], Job | None],
        meanwhile: Callable[[], None],
        *,
        new: bool = False,
    ) -> None:
        """Decides the reports.

        Args:
            observed: The reports.
            encrypt: What encrypts personal values, which these reports do not have.
            find: Finds a job as this process knows it; None for one that it does not know.
            meanwhile: Called while the server folds.
            new: Whether nobody recorded them before, unless their jobs changed since they were known.

        Raises:
            NotEncryptedError: A report holds personal values.
        """
        super().__init__([], encrypt)
        self._observed = observed
        self._meanwhile = meanwhile
        self._new = new
        self.names = self.touches = tuple({each.name: None for each in observed})
        self._known = {
            name: job for name in self.names if (job := find(name)) is not None and job.version
        }
        self._decided: Decisions | None = self._decide(self._known, {}, {})
        self.names = ()

    @property
    def outcomes(self) -> Sequence[Observed]:
        """The outcome of each report, after the write."""
        assert self._decided is not None
        return self._decided.outcomes

    def again(self) -> None:
        """Makes the write decide again on the stored jobs."""
        self._decided, self.error = None, None

    def _decide(
        self, jobs: dict[str, Job], made: dict[str, Request], pasts: dict[str, list[Event]]
    ) -> Decisions:
        decisions = Decisions(dict(jobs), made, pasts)
        decisions.decide_all(self._observed)
        return decisions

    def while_folding(self) -> None:
        """Lets the caller do other work."""
        self._meanwhile()

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        """Decides, and writes as BulkWrite does."""
        decided = self._decided
        if decided is None or not self._holds(appender, decided):
            decided = self._decided = self._on_stored(appender)
        else:
            # Its jobs are cached already, or begin here.
            events = sum(len(values[DATA]) for values in decided.made)
            self.added_bytes = events + JOB_BYTES * len(decided.jobs)
        self._values, self._first = decided.made, {}
        for values in decided.made:
            self._first.setdefault(values[NAME], values[VERSION])
        jobs.update(decided.jobs)
        if not appender.may_copy:
            self.events = [event_of(each) for each in decided.made]
        return super().write(appender, jobs) if decided.made else None

    def _holds(self, appender: Appender, decided: Decisions) -> bool:
        """Whether the decisions hold for the stored jobs, where the written versions do not prove it."""
        if decided.past_needed or (not self._new and self._made(appender, self._known)):
            return False
        silent = list({*self.touches} - {each[NAME] for each in decided.made})
        return not silent or appender.versions(silent) == {
            name: self._known[name].version for name in silent if name in self._known
        }

    @cached_property
    def rows(self) -> Sequence[Row]:  # type: ignore[override]
        """The rows, for when COPY cannot be used, and to check whether they were written."""
        made = [] if self._decided is None else self._decided.made
        return [row_of(event_of(each), each[DATA]) for each in made]

    def _on_stored(self, appender: Appender) -> Decisions:
        """Decides on the stored jobs; the head is locked."""
        self.__dict__.pop("rows", None)
        stored = {name: job for name, job in appender.load(self.touches).items() if job.version}
        self._known = stored
        made, pasts = self._made(appender, stored), dict[str, list[Event]]()
        while True:
            decided = self._decide(stored, made, pasts)
            if not decided.past_needed:
                return decided
            pasts |= _histories(appender, list(decided.past_needed))

    def _made(self, appender: Appender, known: dict[str, Job]) -> dict[str, Request]:
        """Returns the earlier requests; a job that does not exist has none."""
        keys = [
            f"{each.name.split('/', 2)[1]}/{request}"
            for each in self._observed
            if each.name in known
            and not isinstance(each, Introduction)
            and (request := each.about.get("request_id"))
        ]
        if not keys:
            return {}
        rows = appender.connection.execute(FIND_MADE, (list(dict.fromkeys(keys)),))
        return {key: Request(name, count) for key, name, count in rows}


def _histories(appender: Appender, names: list[str]) -> dict[str, list[Event]]:
    """Returns all events of these jobs, oldest first."""
    found: dict[str, list[Event]] = {name: [] for name in names}
    for row in appender.connection.execute(READ_HISTORIES, (names,), binary=True):
        event = RecordedEvent(*row).event
        found[event.name].append(event)
    return found
