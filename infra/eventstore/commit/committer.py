"""The group commit for callers in threads: each commit takes all the writes that wait.

The common path is one round trip: `append` locks the head, writes the batch with the job rows it
makes, and commits. If another process wrote to one of the jobs, the batch is decided again under
the head's lock, on jobs read there; for the next second, batches with such a job begin with that.
If anything else fails (the connection broke, one caller's data is refused), each write of the batch
is committed alone, after a check whether it was written already.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Final

from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.eventstore.commit.appender import Appender
from jobledger.infra.eventstore.commit.batch import (
    MAX_BATCH_BYTES,
    MAX_BATCH_WRITES,
    Batch,
    JobCache,
    encoded_bytes,
    refuse_closed,
)
from jobledger.infra.eventstore.commit.callers import Caller, wake
from jobledger.infra.eventstore.commit.contention import Contention, names_of
from jobledger.infra.eventstore.commit.gathering import Gathering
from jobledger.infra.eventstore.stored_event import Placed
from jobledger.infra.eventstore.writes.pending import Pending, first_versions
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.postgres.ending import CONNECTIONS
from psycopg.errors import SerializationFailure, UniqueViolation

RECONNECT_TIMEOUT_SECONDS: Final = 30.0
FIRST_PAUSE_SECONDS: Final = 0.01
LONGEST_PAUSE_SECONDS: Final = 1.0


class Committer:
    """Commits for all threads of a process."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        written: Callable[[], None] = lambda: None,
        reconnect_timeout: float = RECONNECT_TIMEOUT_SECONDS,
    ) -> None:
        """`written` is called after each commit.

        `reconnect_timeout`: seconds to wait for a server that went away.
        """
        self.cache = JobCache()
        self.contention = Contention()
        self.gathering = Gathering()
        self.written = written
        self._connect = connect
        self._reconnect_timeout = reconnect_timeout
        self._queue: SimpleQueue[Caller | None] = SimpleQueue()
        self._committing = Lock()
        # The thread that holds `_committing` owns the appender and may change the cache.
        self._appender: Appender | None = None
        self._closed = False
        self._starting = Lock()
        self._thread: Thread | None = None

    def submit(self, writes: Sequence[Pending]) -> None:
        """Commits one caller's writes together with all other waiting writes; returns when they are settled."""
        if (
            self._queue.empty()
            and not self.gathering.waits
            and self._committing.acquire(blocking=False)
        ):
            # No other thread is committing, so none has to be woken.
            try:
                self._commit_all(writes)
            finally:
                self._committing.release()
        else:
            caller = Caller(writes)
            self._queue.put(caller)
            if self._thread is None:
                self._start()
            if self._closed:
                self._refuse_waiting()
            caller.wait()

    def recommit(self, writes: Sequence[Pending], *, may_be_written: bool) -> None:
        """Commits writes under the head's lock. `may_be_written` says that an earlier commit may have written them."""
        with self._committing:
            if may_be_written or any(write.alone for write in writes):
                self._commit_each(writes, may_be_written=may_be_written)
                return
            while writes:
                writes = self._commit_again(writes)

    def close(self) -> None:
        """Commits the writes that still wait, and closes. Later writes are refused."""
        self._queue.put(None)
        with self._starting:
            thread = self._thread
        if thread is not None:
            thread.join()
        with self._committing:
            self._closed = True
            if self._appender is not None:
                self._appender.close()
        self._refuse_waiting()

    def _start(self) -> None:
        """Starts the thread that commits for waiting callers; a single caller commits for itself."""
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._serve, name="jobledger-committer", daemon=True)
                self._thread.start()

    def _serve(self) -> None:
        while (caller := self._queue.get()) is not None:
            with self._committing:
                for seconds in self.gathering.pauses(lambda: 1 + self._queue.qsize()):
                    time.sleep(seconds)
                callers = self._with_waiting(caller)
                self._commit_all([write for each in callers for write in each.writes])
                self.gathering.expect(len(callers) + self._queue.qsize())
                wake(callers)

    def _refuse_waiting(self) -> None:
        """Wakes callers that arrived while the committer was being closed; later callers are refused at once."""
        with suppress(Empty):
            while True:
                caller = self._queue.get_nowait()
                if caller is not None:
                    refuse_closed(caller.writes)
                    caller.wake()

    def _with_waiting(self, caller: Caller) -> list[Caller]:
        """Returns the caller and those that wait behind it."""
        callers, size = [caller], len(caller.writes)
        weight = encoded_bytes(caller.writes)
        with suppress(Empty):
            while size < MAX_BATCH_WRITES and weight < MAX_BATCH_BYTES:
                following = self._queue.get_nowait()
                if following is None:
                    self._queue.put(None)
                    break
                callers.append(following)
                size += len(following.writes)
                weight += encoded_bytes(following.writes)
        return callers

    def _commit_all(self, writes: Sequence[Pending]) -> None:
        """Settles all of these writes; never raises."""
        if self._closed:
            refuse_closed(writes)
            return
        for start in range(0, len(writes), MAX_BATCH_WRITES):
            waiting = writes[start : start + MAX_BATCH_WRITES]
            for write in waiting:
                if write.alone:
                    self._commit_alone(write, may_be_written=False)
            waiting = [write for write in waiting if not write.alone]
            while waiting:
                waiting = self._commit_together(waiting)
        self.written()

    def _commit_together(self, writes: Sequence[Pending]) -> Sequence[Pending]:
        """Commits a batch; returns the writes that must be decided again."""
        contended = self.contention.among(writes)
        try:
            return self._commit_locked(writes, contended) if contended else self._commit(writes)
        except (UniqueViolation, SerializationFailure):
            return self._commit_again(writes)
        except Exception:
            self._commit_each(writes, may_be_written=self._is_outcome_unknown())
            return ()

    def _commit(self, writes: Sequence[Pending]) -> Sequence[Pending]:
        """Commits a batch that was decided on cached jobs; returns the writes that must be decided again."""
        appender = self._connected()
        batch = Batch(self.cache)
        batch.add(writes)
        batch.decide(
            appender.find_requests(batch.unknown_requests), appender.load(batch.unknown_jobs)
        )
        return self._settled(batch, _appended(appender, batch))

    def _commit_locked(self, writes: Sequence[Pending], names: Sequence[str]) -> Sequence[Pending]:
        """Commits a batch under the head's lock, and reads these jobs first."""
        known = {name: self.cache.find(name) for name in names}
        self.cache.evict(names)
        appender = self._connected()
        with appender.locked(names) as read:
            batch = Batch(self.cache)
            batch.add(writes)
            unknown = [name for name in batch.unknown_jobs if name not in read]
            batch.decide(
                appender.find_requests(batch.unknown_requests), read | appender.load(unknown)
            )
            placed = _appended(appender, batch)
        self.contention.note(known, read)
        return self._settled(batch, placed)

    def _commit_again(self, writes: Sequence[Pending]) -> Sequence[Pending]:
        """Commits a batch under the head's lock, and reads all of its jobs and requests first."""
        for write in writes:
            write.looks_up = True
        try:
            return self._commit_locked(writes, names_of(writes))
        except Exception:
            self._commit_each(writes, may_be_written=self._is_outcome_unknown())
            return ()

    def _settled(self, batch: Batch, placed: Placed | None) -> Sequence[Pending]:
        """Settles the writes of a batch that was written; returns those that must be decided again."""
        if placed is not None:
            self.gathering.note(placed, len(batch.rows))
        self.cache.store(batch.jobs.values(), placed, batch.added_bytes)
        batch.settle(placed)
        for write in batch.retry_alone:
            self.cache.evict(write.names)
        return batch.retry_alone

    def _commit_each(self, writes: Sequence[Pending], *, may_be_written: bool) -> None:
        for write in writes:
            self._commit_alone(write, may_be_written=may_be_written)

    def _commit_alone(self, write: Pending, *, may_be_written: bool) -> None:
        """Commits one write. If the connection breaks, it retries on a new one until the timeout."""
        deadline, pause = write.since + self._reconnect_timeout, FIRST_PAUSE_SECONDS
        while True:
            self.cache.evict([*write.names, *write.touches])
            try:
                self._attempt(write, may_be_written=may_be_written)
            except Exception as error:
                may_be_written = may_be_written or self._is_outcome_unknown()
                if CONNECTIONS.ended or not self._is_lost() or time.monotonic() > deadline:
                    write.error = _translated(error, written=None if may_be_written else False)
                    return
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                return

    def _attempt(self, write: Pending, *, may_be_written: bool) -> None:
        """Commits one write in its own transaction, under the head's lock."""
        appender = self._connected()
        jobs = {}
        try:
            with appender.transaction():
                appender.lock()
                if may_be_written and (placed := appender.find(write.rows)):
                    write.placed = placed
                    return
                if write.request_key and (used := appender.find_requests([write.request_key])):
                    write.used_for = used[write.request_key]
                    return
                jobs = appender.load(write.names)
                placed = write.write(appender, jobs)
        except UniqueViolation:
            # Its error names the job and its stored version.
            appender.check_versions(first_versions(write.rows))
            raise
        write.placed = placed
        self.cache.store(jobs.values(), placed, write.added_bytes)

    def _connected(self) -> Appender:
        """Returns the connection for writing, and opens a new one if it broke."""
        CONNECTIONS.check()
        if self._appender is None or self._appender.broken:
            self._appender = None
            self._appender = Appender(self._connect())
        return self._appender

    def _is_outcome_unknown(self) -> bool:
        return self._appender is not None and self._appender.outcome_unknown

    def _is_lost(self) -> bool:
        return self._appender is None or self._appender.broken


def _appended(appender: Appender, batch: Batch) -> Placed | None:
    """Writes the batch's rows; returns None if it has none."""
    rows = batch.rows
    return appender.append(rows, batch.requests, batch.changes) if rows else None


def _translated(error: Exception, *, written: bool | None) -> Exception:
    """Translates PostgreSQL's error into the ledger's; `written` is the field of LedgerUnavailableError."""
    try:
        with translated():
            raise error
    except LedgerUnavailableError as unavailable:
        if written is False:
            return unavailable
        return LedgerUnavailableError(unavailable.reason, written=written)
    except Exception as ours:
        return ours
