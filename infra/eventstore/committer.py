"""The one way events are written: callers in threads queue up, and each commit takes all that wait.

The path without trouble is one round trip: `append` locks the head, writes the
batch with the job rows it makes, and commits. Callers decide on states that this
process believes in; versions tell whether it was right. Whatever goes wrong
(somebody else wrote first, the connection broke, one caller's data is refused)
sends each write of the batch down the careful path by itself: under the head's
lock, on states read there, and after finding out whether it was written already.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Final

from jobledger.domain.errors import LedgerError
from jobledger.domain.job import Job
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.eventstore.appender import Appender
from jobledger.infra.eventstore.pending import (
    AlreadyWrittenError,
    Write,
    answer_all,
    changes,
    first_versions,
)
from jobledger.infra.eventstore.stored_event import Placed
from jobledger.infra.postgres.connections import Connection, translated
from psycopg.errors import UniqueViolation

MAX_BATCH: Final = 512
MAX_CACHED_JOBS: Final = 10_000
PATIENCE: Final = 30.0
"""Seconds to wait for a server that went away."""


class Committer:
    """Writes for all threads of a process; `close` it when no caller is left."""

    appender: type[Appender] = Appender

    def __init__(self, connect: Callable[[], Connection], patience: float = PATIENCE) -> None:
        self._connect = connect
        self._patience = patience
        self._queue: SimpleQueue[Write | None] = SimpleQueue()
        self._writing = Lock()
        # Who holds `_writing` owns the appender and may change `_jobs`.
        self._appender: Appender | None = None
        # Jobs as this process last wrote or read them. Read without the lock: it is a guess.
        self._jobs: dict[str, Job] = {}
        self._thread = self._start()

    def _start(self) -> Thread | None:
        """Begins to serve the queue."""
        thread = Thread(target=self._serve, name="jobledger-committer", daemon=True)
        thread.start()
        return thread

    def _put(self, write: Write) -> None:
        """Lets it wait its turn."""
        self._queue.put(write)

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def believed(self, name: str) -> Job | None:
        """The job as this process last saw it, which may be out of date."""
        return self._jobs.get(name)

    def submit(self, write: Write) -> None:
        """Writes it, with whatever else waits; returns once it is durable, or raises why it is not."""
        if self._queue.empty() and self._writing.acquire(blocking=False):
            # Nobody else writes, so no thread need be woken for it.
            try:
                self._commit([write])
            finally:
                self._writing.release()
        else:
            self._put(write)
        write.wait()

    def submit_all(self, writes: Sequence[Write]) -> list[BaseException | None]:
        """The same for several of one caller, in their order; what each was refused with, if it was."""
        if self._queue.empty() and self._writing.acquire(blocking=False):
            try:
                for start in range(0, len(writes), MAX_BATCH):
                    self._commit(writes[start : start + MAX_BATCH])
            finally:
                self._writing.release()
        else:
            for write in writes:
                self._put(write)
        return [refusal(write) for write in writes]

    def close(self) -> None:
        """Writes what still waits, and ends."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
        if self._appender is not None:
            self._appender.close()

    def _serve(self) -> None:
        while (write := self._queue.get()) is not None:
            with self._writing:
                self._commit(self._with_waiting(write))

    def _with_waiting(self, write: Write) -> list[Write]:
        """`write` and those that wait behind it."""
        batch = [write]
        with suppress(Empty):
            while len(batch) < MAX_BATCH:
                following = self._queue.get_nowait()
                if following is None:
                    self._queue.put(None)
                    break
                batch.append(following)
        return batch

    def _commit(self, writes: Sequence[Write]) -> None:
        """Answers each of `writes`, or puts it back in the queue; never raises."""
        for write in writes:
            if write.alone:
                self._commit_carefully(write, doubt=False)
        self._commit_together([write for write in writes if not write.alone])

    def _commit_together(self, writes: Sequence[Write]) -> None:
        if not writes:
            return
        try:
            batch = _Batch(self._connected(), self._jobs, writes)
            placed = batch.write()
        except Exception:
            doubt = self._appender is not None and self._appender.in_doubt
            for write in writes:
                self._commit_carefully(write, doubt=doubt)
        else:
            self._remember(batch.jobs.values())
            batch.answer(placed)
            for write in batch.suspects:
                self._forget(write.names)
                self._put(write)

    def _commit_carefully(self, write: Write, *, doubt: bool) -> None:
        """Answers one write, whatever it takes; `doubt`: it may have been written already."""
        deadline, pause = write.since + self._patience, 0.01
        while True:
            self._forget([*write.names, *write.touches])
            try:
                placed = self._attempt(write, doubt=doubt)
            except Exception as error:
                doubt = doubt or (self._appender is not None and self._appender.in_doubt)
                if not self._is_lost() or time.monotonic() > deadline:
                    write.fail(_said(error, written=None if doubt else False))
                    return
                self._pause(pause)
                pause = min(pause * 2, 1.0)
            else:
                write.answer(placed)
                return

    def _attempt(self, write: Write, *, doubt: bool) -> Placed | None:
        """One write in a transaction of its own that keeps others out; None if it wrote nothing."""
        appender = self._connected()
        try:
            with appender.transaction():
                appender.lock()
                if doubt and (placed := appender.find(write.rows)):
                    return placed
                if write.request_id and (used := appender.find_requests([write.request_id])):
                    raise AlreadyWrittenError(write.request_id, used[write.request_id])
                jobs = appender.load(write.names)
                placed = write.write(appender, jobs)
        except UniqueViolation:
            appender.check_versions(first_versions(write.rows))  # Says which, and what is there.
            raise
        self._remember(jobs.values())
        return placed

    def _connected(self) -> Appender:
        """The connection to write on, made anew if it broke."""
        if self._appender is None or self._appender.broken:
            self._appender = None
            self._appender = self.appender(self._connect())
        return self._appender

    def _is_lost(self) -> bool:
        return self._appender is None or self._appender.broken

    def _remember(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._jobs[job.name] = job
        while len(self._jobs) > MAX_CACHED_JOBS:
            del self._jobs[next(iter(self._jobs))]

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            self._jobs.pop(name, None)


class _Batch:
    """Writes that are committed together, in one round trip.

    A job that nobody here has seen is read first, unless the write would create it.
    """

    def __init__(
        self, appender: Appender, believed: dict[str, Job], writes: Sequence[Write]
    ) -> None:
        self._appender = appender
        self._used = appender.find_requests([w.request_id for w in writes if w.request_id])
        names = {name for write in writes for name in write.names}
        guesses = {name: job for write in writes for name, job in write.guesses.items()}
        believed = guesses | {n: believed[n] for n in names if n in believed}
        read = appender.load([n for n in names if n not in believed])
        self._before = believed | read
        self.jobs = dict(self._before)
        self.suspects: list[Write] = []
        """Those that were refused, or had nothing to do, on a state that may be out of date."""
        self._granted: list[Write] = []
        self._refused: list[tuple[Write, LedgerError | None]] = []
        self._requests: set[str] = set()
        for write in writes:
            self._take(write)
        # A state is known to be the latest if it was read just now, or is about to be written.
        known = set(read).union(*(write.names for write in self._granted))
        self._settle(known)

    def write(self) -> Placed | None:
        """Raises psycopg.Error, with nothing answered yet."""
        rows = [row for write in self._granted for row in write.rows]
        if not rows:
            return None
        prepared = {name: made for w in self._granted for name, made in w.prepared.items()}
        changed = changes(self._before, self.jobs, prepared)
        return self._appender.append(rows, sorted(self._requests), changed)

    def answer(self, placed: Placed | None) -> None:
        """Lets the callers go on, once it is written."""
        for write, error in self._refused:
            write.answer(None) if error is None else write.fail(error)
        if placed is not None:
            answer_all(self._granted, placed)

    def _take(self, write: Write) -> None:
        request = write.request_id
        if request in self._used:
            self._refused.append((write, AlreadyWrittenError(request, self._used[request])))
            return
        if request in self._requests:
            self.suspects.append(write)
            return
        try:
            write.fold(self.jobs)
        except LedgerError as error:
            self._refused.append((write, error))
            return
        if not write.rows:
            self._refused.append((write, None))
            return
        self._granted.append(write)
        if request is not None:
            self._requests.add(request)

    def _settle(self, known: set[str]) -> None:
        """Refusals are believed only of states that are known to be the latest."""
        for refused in list(self._refused):
            write, error = refused
            if not isinstance(error, AlreadyWrittenError) and not known.issuperset(write.names):
                self._refused.remove(refused)
                self.suspects.append(write)


def refusal(write: Write) -> BaseException | None:
    """Waits for the write; what it was refused with, if it was."""
    try:
        write.wait()
    except Exception as error:
        return error
    return None


def _said(error: Exception, *, written: bool | None) -> Exception:
    """The error in the ledger's words."""
    try:
        with translated():
            raise error
    except LedgerUnavailableError as unavailable:
        unavailable = LedgerUnavailableError(unavailable.reason, written=written)
        unavailable.__cause__ = error
        return unavailable
    except Exception as said:
        return said
