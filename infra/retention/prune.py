"""Retention: whole jobs that are over, and were by some time, are exported, and then taken out of the ledger.

A batch of them goes in one transaction: an event says which positions were pruned and where they
were exported to, the table `pruned` says it for who asks, and the rows are deleted. A crash leaves
whole batches done and the others untouched; who runs it again, with the same export, goes on.
What the log's tree has of the events stays: every proof still verifies.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.proof.leaves import digest_of_positions
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.eventstore.ledger_events import LedgerEventWrite, check_may_delete
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.transparency_log import TransparencyLog
from jobledger.infra.read.store import Store
from jobledger.infra.retention.archive import Export, Retired, Source

STREAM: Final = "ledger/prunings"
PRUNED: Final = "Pruned"
TABLES: Final = ("events", "jobs", "intervals", "state_changes", "late_jobs")
BATCH: Final = 5_000
"""Events in one transaction, or those of one job if it has more; writers wait meanwhile."""
LOCK_FOLLOWED: Final = sql.load(__package__, "lock_followed")
READ_RANGES: Final = sql.load(__package__, "read_ranges")
WRITE_PRUNED: Final = sql.load(__package__, "write_pruned")
PRUNE_INTERVALS: Final = sql.load(__package__, "prune_intervals")
PRUNE_LATE_JOBS: Final = sql.load(__package__, "prune_late_jobs")
PRUNE_JOBS: Final = sql.load(__package__, "prune_jobs")
PRUNE_EVENTS: Final = sql.load(__package__, "prune_events")
FORGET_SALTS: Final = sql.load(__package__, "forget_salts")


class Pruning(NamedTuple):
    """What was pruned, and the positions of the events that say so."""

    jobs: int
    events: int
    records: list[int]


def prune(
    store: Store,
    log: TransparencyLog,
    before: datetime,
    export: Export,
    actor: str | None = None,
) -> Pruning:
    """Removes jobs that have ended or were deleted, and of which all was recorded before that time.

    They are written to the export first, or found in it. Of events that are not in the log's
    tree yet it is brought up to date. Raises InvalidFieldError for a time to come or without
    zone, InputError for an export that does not hold what the ledger does, ForkedError where the
    log is not what it was, and OwnerNeededError.
    """
    if before.tzinfo is None or before > datetime.now(UTC):
        raise InvalidFieldError("before", f"{before} is not yet, or has no time zone")
    check_may_delete(store.reader.pool, TABLES, "to prune")
    log.checkpoint()
    store.reader.follow(store.reader.size())
    jobs = events = 0
    records: list[int] = []
    with Source(store.reader, before) as source:
        if not source.retired():
            return Pruning(0, 0, [])
        digest = export.secure(source)
        for batch in _batches(source.retired()):
            write = _Prune(batch, before, digest, actor)
            store.writer.submit(write)
            if write.placed is not None:
                records.append(write.placed.first_position)
                jobs, events = jobs + write.jobs, events + write.events
    # Else whoever verifies now finds that nobody vouches for what was deleted.
    log.checkpoint_if_possible()
    return Pruning(jobs, events, records)


def _batches(retired: Iterable[Retired]) -> Iterator[list[Retired]]:
    batch: list[Retired] = []
    for job in retired:
        if batch and sum(each.version for each in batch) + job.version > BATCH:
            yield batch
            batch = []
        batch.append(job)
    if batch:
        yield batch


class _Prune(LedgerEventWrite):
    stream = STREAM
    type = PRUNED

    def __init__(
        self, batch: Sequence[Retired], before: datetime, digest: str, actor: str | None
    ) -> None:
        super().__init__(actor)
        self.jobs = self.events = 0
        self.touches = [job.name for job in batch]
        self._batch = batch
        self._said = {"before": time_text(before), "export": {"sha256": digest}}
        self._ranges: list[tuple[int, int]] = []

    def do(self, connection: Connection) -> JsonObject | None:
        names = [job.name for job in self._batch]
        positions = [job.last_position for job in self._batch]
        # What was written to since is not over. Who follows locks in this order, too.
        connection.execute(LOCK_FOLLOWED)
        rows: list[Any] = connection.execute(READ_RANGES, (names, positions)).fetchall()
        if not rows:
            return None
        self._ranges = [(first, last) for first, last, _ in rows]
        self._names = rows[0][2]
        self.jobs = len(self._names)
        self.events = sum(last - first + 1 for first, last in self._ranges)
        count: JsonObject = {"jobs": self.jobs, "events": self.events}
        return self._said | count | {"digest": digest_of_positions(self._ranges)}

    def done(self, connection: Connection, position: int) -> None:
        firsts, lasts = map(list, zip(*self._ranges, strict=True))
        connection.execute(WRITE_PRUNED, {"firsts": firsts, "lasts": lasts, "record": position})
        for statement in (PRUNE_INTERVALS, PRUNE_LATE_JOBS, PRUNE_JOBS, PRUNE_EVENTS):
            connection.execute(statement, {"names": self._names})
        connection.execute(FORGET_SALTS, {"firsts": firsts, "lasts": lasts})
