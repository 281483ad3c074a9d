"""The heartbeats of all runs of one process: one thread that extends their leases."""

from __future__ import annotations

import logging
import time
from threading import Condition, Thread
from typing import Final

import psycopg
from jobledger.domain.errors import LedgerError
from jobledger.infra.postgres.connections import Pool, translated
from jobledger.infra.programs.leases import end_lease, keep_lease

LOG: Final = logging.getLogger("jobledger.leases")
Run = tuple[str, str]
"""A job's name, and the run's id."""


class Heartbeats:
    """Sends the heartbeats of runs to one ledger; any number of threads may use it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._changed = Condition()
        self._runs: dict[Run, float] = {}
        """Seconds between two heartbeats."""
        self._due: dict[Run, float] = {}
        self._thread: Thread | None = None
        self._is_closed = False

    def begin(self, job: str, run_id: str, seconds: float) -> None:
        """Sends the first heartbeat, and then one per interval; raises LedgerUnavailableError."""
        run = job, run_id
        self._beat(run, seconds)
        with self._changed:
            self._runs[run], self._due[run] = seconds, time.monotonic() + seconds
            if self._thread is None:
                self._thread = Thread(target=self._serve, name="jobledger-heartbeats", daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self, job: str, run_id: str) -> None:
        """Stops a run's heartbeats; its lease stays until `end`, or expires."""
        with self._changed:
            self._runs.pop((job, run_id), None)
            self._due.pop((job, run_id), None)

    def end(self, job: str, run_id: str) -> None:
        """Removes a run's lease after its end was recorded; raises LedgerUnavailableError."""
        with translated(), self._pool.connection() as connection:
            end_lease(connection, job, run_id)

    def close(self) -> None:
        """Stops the thread; the leases of running runs expire."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _serve(self) -> None:
        while (run := self._next()) is not None:
            seconds = self._runs.get(run)
            if seconds is None:
                continue
            try:
                self._beat(run, seconds)
            except (LedgerError, psycopg.Error) as error:
                LOG.warning("no heartbeat of %s: %s", run[0], error)
            with self._changed:
                if run in self._due:
                    self._due[run] = time.monotonic() + seconds

    def _next(self) -> Run | None:
        """Waits for the next heartbeat that is due, and returns its run; None when closed."""
        with self._changed:
            while not self._is_closed:
                run = min(self._due, key=self._due.__getitem__, default=None)
                pause = None if run is None else self._due[run] - time.monotonic()
                if run is not None and pause is not None and pause <= 0:
                    return run
                self._changed.wait(pause)
        return None

    def _beat(self, run: Run, seconds: float) -> None:
        with translated(), self._pool.connection() as connection:
            keep_lease(connection, *run, seconds)
