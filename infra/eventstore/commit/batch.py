"""A batch: writes that are committed together, decided on the jobs in this process's cache.

A batch does no I/O: the committer adds writes, reads what `unknown_*` lists, calls
`decide`, appends `rows`, and calls `settle`. The database detects outdated jobs by their versions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from jobledger.domain.errors import LedgerError
from jobledger.domain.job import Job
from jobledger.infra.errors import LedgerClosedError
from jobledger.infra.eventstore.stored_event import Placed, Row
from jobledger.infra.eventstore.writes.pending import Pending, changes
from jobledger.infra.eventstore.writes.weight import JOB_BYTES, weight_of_job
from jobledger.projections.jobs import Change

MAX_BATCH_WRITES: Final = 512
MAX_BATCH_BYTES: Final = 16 * 1024 * 1024
"""The size of encoded events in one commit; when it is reached, further writes wait for the next one."""
MAX_CACHED_JOBS: Final = 10_000
MAX_CACHED_BYTES: Final = 64 * 1024 * 1024
"""Approximate memory for cached jobs."""


def refuse_closed(writes: Iterable[Pending]) -> None:
    """Settles writes that arrived after their ledger was closed."""
    for write in writes:
        write.error = LedgerClosedError()


def encoded_bytes(writes: Iterable[Pending]) -> int:
    """Returns how many bytes of encoded events are ready to be written."""
    return sum(len(json) for w in writes if not w.alone for _, _, json in w.rows)


class JobCache:
    """Jobs as this process last wrote or read them; they may be out of date.

    The cache is bounded by number and by bytes. A job's growth is estimated as the size of the events
    that changed it, which is never too low. Jobs are weighed only when the estimates reach the bound.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self.find: Final[Callable[[str], Job | None]] = self._jobs.get
        """Returns the job of that name, if it is here."""
        self._bytes = 0
        """What the jobs take at most."""

    def store(self, jobs: Iterable[Job], placed: Placed | None, added: int | None = None) -> None:
        """Stores jobs after they were written, and evicts the oldest ones.

        `added` is the most bytes that they can have grown by; without it they are weighed.
        """
        for job in jobs:
            self._jobs[job.name] = job if placed is None else job.known_at(placed.recorded_time)
            if added is None:
                self._bytes += weight_of_job(job)
        self._bytes += added or 0
        if len(self._jobs) > MAX_CACHED_JOBS:
            # Many at once, because finding the first key of a dict is slow after its first keys were removed.
            self._evict_oldest(len(self._jobs) - MAX_CACHED_JOBS * 3 // 4)
        if self._bytes > MAX_CACHED_BYTES:
            self._shrink()

    def _evict_oldest(self, count: int) -> None:
        for name in list(islice(self._jobs, count)):
            del self._jobs[name]

    def _shrink(self) -> None:
        """Weighs all jobs, and evicts the oldest until they take three quarters of the limit."""
        weights = list(map(weight_of_job, self._jobs.values()))
        self._bytes, oldest = sum(weights), 0
        while self._bytes > MAX_CACHED_BYTES * 3 // 4:
            self._bytes -= weights[oldest]
            oldest += 1
        self._evict_oldest(oldest)

    def evict(self, names: Iterable[str]) -> None:
        """Removes jobs, so that they are read again."""
        for name in names:
            self._jobs.pop(name, None)


class Batch:
    """Some writes, in the order in which they were submitted.

    Writes that are added later are decided by the next call of `decide`, after the earlier ones.
    """

    def __init__(self, cache: JobCache) -> None:
        """Makes an empty batch; `cache` has the jobs that this process last wrote or read."""
        self._find = cache.find
        self.writes: list[Pending] = []
        self.unknown_jobs: list[str] = []
        """Jobs to read before the next decision."""
        self.unknown_requests: list[str] = []
        """Request ids to look up before the next decision: each may have been used before."""
        self.jobs: dict[str, Job] = {}
        """The jobs as they will be."""
        self.rows: list[Row] = []
        """The events to append, once the writes are decided."""
        self.retry_alone: list[Pending] = []
        """Writes refused, or without effect, on a job that may be out of date: to be decided again."""
        self._known: dict[str, Job] = {}
        self._before: dict[str, Job] = {}
        self._read_bytes = 0
        self._decided = 0
        """How many of the writes are decided."""
        self._granted: list[Pending] = []
        self._refused: list[tuple[Pending, LedgerError | None]] = []
        self._requests: set[str] = set()

    def add(self, writes: Sequence[Pending]) -> None:
        """Adds writes, and notes which of their jobs and request ids are unknown."""
        self.writes.extend(writes)
        self.unknown_requests = [w.request_key for w in writes if w.request_key and w.looks_up]
        self.unknown_jobs = []
        known, find = self._known, self._find
        for write in writes:
            if write.assumed_new:
                known.update(write.assumed_new)
        for write in writes:
            for name in write.names:
                if (job := find(name)) is not None:
                    known[name] = job
                elif name not in known and name not in self._before:
                    self.unknown_jobs.append(name)

    def decide(self, used: Mapping[str, str], read: Mapping[str, Job]) -> None:
        """Decides the writes that were added; `used` names the job of each request id that was used before."""
        for name, job in {**self._known, **read}.items():
            if name not in self._before:
                self._before[name] = self.jobs[name] = job
        self._known = {}
        self._read_bytes += sum(map(weight_of_job, read.values())) if read else 0
        granted = len(self._granted)
        for write in self.writes[self._decided :]:
            self._decide(write, used)
        self._decided = len(self.writes)
        self.rows.extend(row for write in self._granted[granted:] for row in write.rows)
        if self._refused:
            self._split_refusals(read)

    def _split_refusals(self, read: Mapping[str, Job]) -> None:
        """Keeps refusals that were decided on current jobs, and marks the others to be decided again."""
        # A job is current if it was just read, or is about to be written.
        current = set(read).union(*(write.names for write in self._granted))
        refused, self._refused = self._refused, []
        for write, error in refused:
            if current.issuperset(write.names):
                self._refused.append((write, error))
            else:
                self.retry_alone.append(write)

    @property
    def added_bytes(self) -> int:
        """The most bytes that the jobs can have grown by in this batch."""
        events = sum(len(json) for _, _, json in self.rows)
        return self._read_bytes + events + JOB_BYTES * len(self._granted)

    @property
    def requests(self) -> list[str]:
        """The keys of the requests of these events."""
        return sorted(self._requests)

    @property
    def changes(self) -> list[Change]:
        """The changes that the events make to the jobs."""
        prepared = {name: made for w in self._granted for name, made in w.prepared.items()}
        return changes(self._before, self.jobs, prepared)

    def settle(self, placed: Placed | None) -> None:
        """Settles the writes: each gets its position, or its error.

        It is called after the commit. If the commit fails, the refusals may be wrong, because the jobs were outdated.

        Args:
            placed: Where the rows were written; None if there were none.
        """
        for write, error in self._refused:
            write.error = error
        position = 0 if placed is None else placed.first_position
        for write in self._granted:
            assert placed is not None
            write.placed = Placed(position, placed.recorded_time)
            position += len(write.rows)

    def _decide(self, write: Pending, used: Mapping[str, str]) -> None:
        request = write.request_key
        if request is not None and request in used:
            write.used_for = used[request]
            return
        if request in self._requests:
            write.looks_up = True
            self.retry_alone.append(write)
            return
        try:
            write.decide(self.jobs)
        except LedgerError as error:
            self._refused.append((write, error))
            return
        if not write.rows:
            self._refused.append((write, None))
            return
        self._granted.append(write)
        if request is not None:
            self._requests.add(request)
