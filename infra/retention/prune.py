"""Prunes jobs that ended before a time: exports their events, and deletes them from the ledger.

Each batch is one transaction: an event records which positions were pruned and the export's digest,
the table `pruned` makes them known to readers, and the rows are deleted. After a crash, whole
batches are pruned; run it again with the same export to continue. The log's tree keeps its hashes
of the events, so every proof stays valid.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError, shown
from jobledger.domain.proof.leaves import digest_of_positions
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.eventstore.ledger_events import LedgerEventWrite, check_owner
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.transparency_log import TransparencyLog
from jobledger.infra.read.store import Store
from jobledger.infra.retention.archive import Export, Prunable, Source
from jobledger.infra.retention.holds import check_free, read_holds

STREAM: Final = "ledger/prunings"
PRUNED: Final = "Pruned"
BATCH: Final = 2_000
"""Events in one transaction, or those of one job if it has more; writers wait meanwhile."""
LOCK_FOLLOWED: Final = sql.load(__package__, "lock_followed")
FIND_UNCHANGED: Final = sql.load(__package__, "find_unchanged")
READ_RANGES: Final = sql.load(__package__, "read_ranges")
WRITE_PRUNED: Final = sql.load(__package__, "write_pruned")
PRUNE_INTERVALS: Final = sql.load(__package__, "prune_intervals")
PRUNE_LATE_JOBS: Final = sql.load(__package__, "prune_late_jobs")
PRUNE_JOBS: Final = sql.load(__package__, "prune_jobs")
PRUNE_EVENTS: Final = sql.load(__package__, "prune_events")
FORGET_SALTS: Final = sql.load(__package__, "forget_salts")


class Pruning(NamedTuple):
    """The result of a pruning.

    Attributes:
        jobs: The number of pruned jobs.
        events: The number of pruned events.
        records: The positions of the `Pruned` events.
    """

    jobs: int
    events: int
    records: list[int]


def prune(
    store: Store,
    log: TransparencyLog,
    before: datetime,
    export: Export,
    actor: str | None = None,
    *,
    skip_held: bool = False,
) -> Pruning:
    """Prunes jobs that have ended or were deleted, and whose events were all recorded before a time.

    Args:
        store: The ledger.
        log: Its log, which is brought up to date first.
        before: A time with a time zone, not in the future (transaction time).
        export: The file that events are written to, or that holds them already.
        actor: The user who asks for it.
        skip_held: Whether jobs that are held or pinned are left out; else nothing is pruned if
            there are any.

    Returns:
        The numbers of jobs and events, and the positions of the `Pruned` events.

    Raises:
        InvalidFieldError: `before` is in the future or has no time zone.
        JobHeldError: One of the jobs is held or pinned, and `skip_held` is false.
        InputError: The export does not hold what the ledger holds.
        ForkedError: The log does not extend the last signed checkpoint.
        OwnerNeededError: The database user may not delete events.
    """
    if not isinstance(before, datetime):
        raise InvalidFieldError("before", f"must be a datetime, not {shown(before)}")
    if before.tzinfo is None:
        raise InvalidFieldError("before", f"{before} has no time zone; give one, such as UTC")
    if before > (now := datetime.now(UTC)):
        raise InvalidFieldError("before", f"{before} is in the future: it is {now} now")
    prepare(store, log)
    with Source(store.reader, before) as source:
        held = source.leave_held()
        if not skip_held:
            check_free(held)
        pruning = prune_source(store, source, export, {"before": time_text(before)}, actor)
    if pruning.records:
        # Otherwise a verification now would find deleted events without a record.
        log.checkpoint_if_possible()
    return pruning


def prepare(store: Store, log: TransparencyLog) -> None:
    """Brings the log and the projections up to date; raises OwnerNeededError unless this role may prune."""
    check_owner(store.reader.pool, "to prune")
    log.checkpoint()
    store.reader.follow(store.reader.size())


def prune_source(
    store: Store, source: Source, export: Export, fields: JsonObject, actor: str | None
) -> Pruning:
    """Exports the jobs of a source and prunes them; the log is signed by the caller.

    Args:
        store: The ledger.
        source: The jobs.
        export: The file that events are written to, or that holds them already.
        fields: Fields of the `Pruned` events, at least `before`; the export is added.
        actor: The user who asks for it.

    Returns:
        The numbers of jobs and events, and the positions of the `Pruned` events.
    """
    jobs = events = 0
    records: list[int] = []
    if not source.prunable():
        return Pruning(0, 0, [])
    fields |= {"export": {"sha256": export.secure(source)}}
    for batch in _batches(source.prunable()):
        write = _Prune(batch, fields, actor)
        store.writer.submit(write)
        if write.placed is not None:
            records.append(write.placed.first_position)
            jobs, events = jobs + write.jobs, events + write.events
    return Pruning(jobs, events, records)


def _batches(prunable: Iterable[Prunable]) -> Iterator[list[Prunable]]:
    batch: list[Prunable] = []
    for job in prunable:
        if batch and sum(each.version for each in batch) + job.version > BATCH:
            yield batch
            batch = []
        batch.append(job)
    if batch:
        yield batch


class _Prune(LedgerEventWrite):
    stream = STREAM
    type = PRUNED

    def __init__(self, batch: Sequence[Prunable], fields: JsonObject, actor: str | None) -> None:
        super().__init__(actor)
        self.jobs = self.events = 0
        self.touches = [job.name for job in batch]
        self._batch = batch
        self._fields = fields
        self._ranges: list[tuple[int, int]] = []

    def do(self, connection: Connection) -> JsonObject | None:
        names = [job.name for job in self._batch]
        positions = [job.last_position for job in self._batch]
        # A job written to since has not ended. Catch-up takes its locks in this order, too.
        connection.execute(LOCK_FOLLOWED)
        found = connection.execute(FIND_UNCHANGED, (names, positions)).fetchall()
        held = {each.name for each in read_holds(connection, names)}
        self._names = [name for (name,) in found if name not in held]
        if not self._names:
            return None
        self._ranges = connection.execute(READ_RANGES, (self._names,)).fetchall()
        self.jobs = len(self._names)
        self.events = sum(last - first + 1 for first, last in self._ranges)
        count: JsonObject = {"jobs": self.jobs, "events": self.events}
        return self._fields | count | {"digest": digest_of_positions(self._ranges)}

    def done(self, connection: Connection, position: int) -> None:
        firsts, lasts = map(list, zip(*self._ranges, strict=True))
        connection.execute(WRITE_PRUNED, {"firsts": firsts, "lasts": lasts, "record": position})
        for statement in (PRUNE_INTERVALS, PRUNE_LATE_JOBS, PRUNE_JOBS, PRUNE_EVENTS):
            connection.execute(statement, {"names": self._names})
        connection.execute(FORGET_SALTS, {"firsts": firsts, "lasts": lasts})
