"""A pending write: what one caller waits for.

It is settled exactly once: it was written (`placed`), there was nothing to write, its request id was used
before (`used_for`), or it failed (`error`). Its caller reads these fields.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from jobledger.domain.events import Event
from jobledger.domain.job import Job
from jobledger.infra.eventstore.commit.appender import Appender
from jobledger.infra.eventstore.stored_event import Placed, Row
from jobledger.projections.jobs import Change, change


class Pending(ABC):
    """One caller's write."""

    names: Sequence[str] = ()
    """The jobs whose state the decision needs."""
    touches: Sequence[str] = ()
    """Jobs that only the database changes."""
    request_id: str | None = None
    request_key: str | None = None
    """The project and the request id: request ids are unique within a project."""
    looks_up: bool = True
    """Whether its request is looked up before it is decided. If not, `append` refuses one that was made before."""
    rows: Sequence[Row] = ()
    """The rows to write, after the decision."""
    prepared: Mapping[str, Change] = {}
    """Changes of the jobs that were computed in the caller's thread."""
    assumed_new: Mapping[str, Job] = {}
    """Jobs that the caller assumes to be new, so they are not read; if they exist, their versions conflict."""
    past_names: Sequence[str] = ()
    """The jobs whose events are all needed; the write is then `alone`."""
    pasts: Mapping[str, Sequence[Event]] = {}
    """The events of these jobs, after they were read."""
    added_bytes: int | None = None
    """How many bytes its jobs can have gained in memory, if it knows."""
    alone: bool = False
    """Whether the write needs its own transaction, in which its jobs are read."""
    placed: Placed | None = None
    error: BaseException | None = None
    used_for: str | None = None
    """The job that the request id was used for before."""

    def __init__(self) -> None:
        self.since = time.monotonic()
        """When its caller began to wait."""

    @abstractmethod
    def decide(self, jobs: dict[str, Job]) -> None:
        """Decides on `jobs`: fills `rows`, and replaces the changed jobs in `jobs`.

        If it raises LedgerError, nothing was changed.
        """

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        """Decides on `jobs`, and writes the events, in a transaction that holds the head's lock.

        Args:
            appender: Writes in the transaction.
            jobs: The current jobs; the changed ones are replaced.

        Returns:
            Where the events were written; None if there was nothing to write.
        """
        before = dict(jobs)
        self.pasts = {name: appender.history(name) for name in self.past_names}
        self.decide(jobs)
        if not self.rows:
            return None
        appender.check_versions(first_versions(self.rows))
        requests = [self.request_key] if self.request_key else []
        return appender.append(self.rows, requests, changes(before, jobs, self.prepared))


def first_versions(rows: Sequence[Row]) -> dict[str, int]:
    """Returns each name's first version."""
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(row.name, row.version)
    return first


def changes(
    before: Mapping[str, Job], after: Mapping[str, Job], prepared: Mapping[str, Change]
) -> list[Change]:
    """Returns the changes of the jobs; prepared changes are used if they match."""
    made = []
    for name, job in after.items():
        was = before[name]
        if job is not was:
            ready = prepared.get(name)
            fits = ready is not None and ready.before is was and ready.after is job
            made.append(ready if ready is not None and fits else change(was, job))
    return made
