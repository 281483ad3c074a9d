"""Reports a run while its program runs, in a thread.

Only the end of the program waits for the thread, and only briefly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Condition, RLock, Thread
from typing import TYPE_CHECKING, Final

from jobledger.domain.running import RunRecord, RunReport
from jobledger.infra.programs.opening import Opening
from jobledger.infra.programs.spool import RunFile

if TYPE_CHECKING:
    from jobledger.infra.programs.delivery import Delivery
    from jobledger.infra.programs.run_store import RunStore

RETRY_SECONDS: Final = 15.0
"""How long after a failure the ledger is tried again, while the program runs."""
RECENT_SECONDS: Final = 1.0
"""Seconds after a failure within which the end does not try again."""
LEAVE_SECONDS: Final = 1.0
"""How long the end of a program may wait for its file to be written."""
SPOOL_SECONDS: Final = 0.5
"""How long the end of a program may wait for other runs to be sent."""


class Reporter:
    """Records one run: first in its file, then in the ledger."""

    def __init__(
        self, opening: Opening, record: RunRecord, heartbeat_seconds: float, *, once: bool = False
    ) -> None:
        """`heartbeat_seconds` is 0 for a run without heartbeats; with `once` its job must be new."""
        self._opening = opening
        self._record = record
        self._heartbeat_seconds = heartbeat_seconds
        self._once = once
        self._changed = Condition()
        self._keeping = RLock()
        """Held while the file is written, which a disk may take long for."""
        self._new: list[RunReport] = []
        self._is_ending = False
        self._tried = -RETRY_SECONDS
        self._beat = -heartbeat_seconds
        self._store: RunStore | None = None
        self._delivery: Delivery | None = None
        self.file: RunFile | None = None
        self.failure: Exception | None = None
        """The error that prevents recording; None if there is none."""
        self.spool_failure: Exception | None = None
        """The error that keeps it from being spooled."""
        self.refused: Path | None = None
        """The file that keeps what the ledger refuses."""
        self.has_begun = False
        """Whether the job was created, or its new attempt begun."""
        self.is_recorded = False
        """Whether the ledger has all of it, the end too."""
        self._thread = Thread(target=self._serve, name="jobledger-reporter", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def add(self, report: RunReport, *, last: bool = False) -> None:
        """Adds a report; `last` marks the end of the run."""
        with self._changed:
            self._new.append(report)
            self._is_ending = last
            self._changed.notify()

    def wait(self, seconds: float, gives_up: Callable[[], bool], *, begun: bool = False) -> None:
        """Waits until all is recorded or cannot be, or `gives_up` is true.

        With `begun` it waits only until the job exists.
        """
        deadline = time.monotonic() + seconds
        while self._thread.is_alive() and not gives_up() and time.monotonic() < deadline:
            if begun and (self.has_begun or self.failure is not None):
                return
            self._thread.join(0.02)

    def leave(self) -> None:
        """Writes to the file what the thread did not come to, so that the next run sends it."""
        if not self._thread.is_alive():
            return
        if not self._keeping.acquire(timeout=LEAVE_SECONDS):
            self.spool_failure = TimeoutError("its file is not written in time")
            return
        try:
            self._keep_new()
            self._kept(RunFile.sync)
        finally:
            self._keeping.release()

    @property
    def recorded(self) -> list[str]:
        """The types of the recorded events."""
        return [] if self._delivery is None else list(self._delivery.recorded)

    @property
    def notes(self) -> list[str]:
        """Remarks about what was recorded, for the user."""
        return [] if self._delivery is None else list(self._delivery.notes)

    @property
    def missing(self) -> list[str]:
        """The types of the reports that may not be recorded."""
        if self._delivery is None:
            return ["Created", *(report.type for report in (*self._record.reports, *self._new))]
        return self._delivery.missing

    def _serve(self) -> None:
        self._begin_file()
        while True:
            self._keep_new()
            if self._is_due():
                self._try()
            with self._changed:
                if self._is_ending and not self._new:
                    break
                if not self._new:
                    self._changed.wait(self._pause())
        self._finish()

    def _finish(self) -> None:
        """Makes the last attempt, and removes or keeps the file."""
        if self.failure is not None and time.monotonic() - self._tried > RECENT_SECONDS:
            self._try()
        if self.failure is not None or self._store is None:
            self._kept(self._keep_for_others)
        else:
            self._end(self._store)
        if self._store is not None:
            with suppress(Exception):
                self._store.close()

    def _end(self, store: RunStore) -> None:
        """Cleans up after all is recorded; failures here are harmless."""
        self._kept(RunFile.remove)
        self.is_recorded = True
        with suppress(Exception):  # A lease that stays runs out, and is found to be over.
            self._end_lease(store)
        with suppress(Exception):  # The next writer adds these events to the log, too.
            store.checkpoint()
        until = time.monotonic() + SPOOL_SECONDS
        self._send_others(lambda: time.monotonic() < until)

    def _end_lease(self, store: RunStore) -> None:
        if self._heartbeat_seconds:
            store.end_lease(self._record.name, self._record.run_id)

    def _keep_for_others(self, file: RunFile) -> None:
        file.sync()
        if self._store is not None:
            from jobledger.infra.programs.delivery import is_refusal

            if self.failure is not None and is_refusal(self.failure):
                self.refused = file.refuse()

    def _begin_file(self) -> None:
        try:
            with self._keeping:
                self.file = self._opening.spool().begin(self._record)
        except Exception as error:
            self.spool_failure = error
        self._keep_new()
        with suppress(Exception):  # Opening the ledger raises the same error.
            self._record.destination = self._opening.destination()
            if self.file is not None:
                self.file.aim(self._record.destination)

    def _keep_new(self) -> None:
        with self._keeping:
            with self._changed:
                new, self._new = self._new, []
                self._record.reports += new
            for report in new:
                self._kept(partial(_add, report))

    def _kept(self, keep: Callable[[RunFile], object]) -> None:
        if self.file is None:
            return
        try:
            keep(self.file)
        except OSError as error:
            self.spool_failure = error

    def _is_due(self) -> bool:
        now = time.monotonic()
        if self.failure is not None:
            return now - self._tried >= RETRY_SECONDS
        return True

    def _pause(self) -> float | None:
        """Returns the seconds until the next heartbeat or attempt; None without any."""
        if self.failure is not None:
            return max(0.0, self._tried + RETRY_SECONDS - time.monotonic())
        if not self._heartbeat_seconds:
            return None
        return max(0.0, self._beat + self._heartbeat_seconds - time.monotonic())

    def _try(self) -> None:
        """Sends a heartbeat and records what is missing; `failure` is the error, if any."""
        self.failure = None
        self._kept(RunFile.touch)
        try:
            self._record_all()
        except Exception as error:
            self.failure = error
        self._tried = time.monotonic()

    def _record_all(self) -> None:
        from jobledger.infra.programs.delivery import Delivery

        if self._store is None:
            self._store = self._opening.store()
        self._keep_lease(self._store)
        if self._delivery is None:
            self._send_others(self._has_time, only=self._record.name)
            self._delivery = Delivery(self._store, self._record)
        if not self.has_begun:
            self._delivery.begin(once=self._once)
            self.has_begun = True
        self._delivery.deliver()
        if not self._is_ending:
            self._send_others(lambda: not self._is_ending and self._has_time())

    def _keep_lease(self, store: RunStore) -> None:
        if not self._has_time():
            name, run_id = self._record.name, self._record.run_id
            store.keep_lease(name, run_id, self._heartbeat_seconds)
            self._beat = time.monotonic()

    def _has_time(self) -> bool:
        """Whether no heartbeat is due."""
        waits = time.monotonic() - self._beat < self._heartbeat_seconds
        return waits or not self._heartbeat_seconds

    def _send_others(self, goes_on: Callable[[], bool], only: str | None = None) -> None:
        """Sends runs that other processes left in the spool; their errors do not affect this run."""
        if self._store is None or self._record.destination is None:
            return
        from jobledger.infra.programs.sending import Sender

        with suppress(Exception):
            spool, destination = self._opening.spool(), self._record.destination
            if spool.paths(of=only):
                store, project = self._store, self._opening.project
                sender = Sender(store, spool, destination, project, end_lease=store.end_lease)
                sender.send(only=only, goes_on=goes_on)


def _add(report: RunReport, file: RunFile) -> None:
    file.add(report)
