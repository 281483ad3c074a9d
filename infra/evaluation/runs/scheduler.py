"""The scheduler: starts the runs that are due, carries open ones on, and expires jobs without heartbeats.

One of many processes leads.

The leader holds a lock of its database session, which a crash releases. The server ends the session of a
leader that is stopped, or hangs, as such a leader does not use it any more. The lock only keeps two from doing
the same work: what a run has done is decided by its events.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event as Signal
from typing import Final

from jobledger.domain.errors import InvalidFieldError, JobNotFoundError, LedgerError
from jobledger.domain.job import Job
from jobledger.domain.runs import last_run, open_runs
from jobledger.domain.states import MAY_EXECUTE, allowed
from jobledger.domain.values.schedules import Schedule, last_daily, parse_schedule
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.evaluation.runs.failures import record_failure
from jobledger.infra.evaluation.runs.mail import Mailer
from jobledger.infra.evaluation.runs.runs import carry_on, start_run
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.programs.leases import expire_lost
from jobledger.infra.read.store import Store

READ_EVALUATING: Final = sql.load(__package__, "read_evaluating")
TRY_LEADING: Final = sql.load(__package__, "try_leading")
LOG: Final = logging.getLogger("jobledger.scheduler")
ACTOR: Final = "scheduler"
LEAD_SECONDS: Final = 120.0
"""How long a leader may take for one job before another scheduler leads."""
_MAY_EXECUTE: Final = [state.name for state in sorted(MAY_EXECUTE)]

LastDue = Callable[[Schedule, datetime, datetime], datetime | None]
"""Returns when a run was due last, after the last run or the creation of the job and up to now."""
RULES: Final[dict[str, LastDue]] = {"daily": last_daily, "exact": Schedule.last_before}
"""`daily` is the rule of Google's service: whole days, at 10:00 UTC."""


def utc_now() -> datetime:
    """The default clock."""
    return datetime.now(UTC)


class Scheduler:
    """Carries out the due runs of one ledger's evaluation jobs."""

    def __init__(
        self,
        store: Store,
        rule: str = "daily",
        mailer: Mailer | None = None,
        clock: Callable[[], datetime] = utc_now,
        also: Callable[[], object] = lambda: None,
        *,
        evaluates: bool = True,
    ) -> None:
        """Makes a scheduler.

        Args:
            store: The ledger.
            rule: When runs are due, a key of RULES.
            mailer: Sends alerts; without one they are events only.
            clock: The present time (UTC).
            also: Called at every look, whether this scheduler leads or not; must not raise.
            evaluates: Whether it can evaluate predictions. If not, runs wait before their
                evaluation, and the lead is given up after each look, so that a scheduler that
                evaluates takes it.

        Raises:
            InvalidFieldError: There is no such rule.
        """
        if rule not in RULES:
            raise InvalidFieldError("schedules", f"{rule!r} is not one of {', '.join(RULES)}")
        self._store = store
        self._last_due = RULES[rule]
        self._mailer = mailer
        self._clock = clock
        self._also = also
        self._evaluates = evaluates

    def serve(self, stopping: Signal, pause: float) -> None:
        """Does due work every `pause` seconds while no other scheduler leads, until it is stopped."""
        while not stopping.is_set():
            self._also()
            try:
                with (
                    self._store.reader.connection() as connection,
                    leading(connection, pause + LEAD_SECONDS) as leads,
                ):
                    if leads:
                        self._lead(connection, stopping, pause)
            except LedgerError as error:
                LOG.warning("%s", error)
            stopping.wait(pause)

    def _lead(self, connection: Connection, stopping: Signal, pause: float) -> None:
        def renew() -> None:
            with translated():  # A scheduler that lost its session no longer leads.
                connection.execute("SELECT 1")

        if not self._evaluates:
            self.do_due(renew)
            return
        while not stopping.wait(pause):
            self.do_due(renew)
            self._also()

    def do_due(self, renew: Callable[[], object] = lambda: None) -> int:
        """Does the work that is due now, once; a failure of one job does not affect the others.

        Runs whose heartbeats stopped are reported as lost, too.

        Args:
            renew: Called before each part of the work; raises LedgerUnavailableError to end it.

        Returns:
            How many jobs failed to be scheduled; the output of each says why.
        """
        renew()
        expire_lost(self._store, ACTOR)
        with translated(), self._store.reader.pool.connection() as connection:
            names = [name for (name,) in connection.execute(READ_EVALUATING, (_MAY_EXECUTE,))]
        failed = 0
        for name in names:
            renew()
            failed += not self._did_job(name)
        renew()
        if self._mailer is not None:
            self._mailer.send_all(self._store.reader)
        return failed

    def _did_job(self, name: str) -> bool:
        """Whether all of a job could be done; why not is recorded on the job."""
        try:
            self._do_job(name)
        except JobNotFoundError:
            pass  # It was deleted meanwhile.
        except LedgerUnavailableError:
            raise
        except Exception as error:
            try:
                record_failure(self._store, name, error, ACTOR)
            except LedgerUnavailableError:
                raise
            except Exception:
                LOG.exception("what failed of %s cannot be recorded", name)
            return False
        return True

    def _do_job(self, name: str) -> None:
        now = self._clock()
        job = self._store.reader.get(name)
        may_start = allowed("RunStarted", job.stage, job.kind)
        if may_start and (due := self.due(job, now)) is not None:
            start_run(self._store, job, due, ACTOR)
            job = self._store.reader.get(name)
        for number in open_runs(job.output):
            carry_on(self._store, name, number, now, ACTOR, evaluates=self._evaluates)

    def due(self, job: Job, now: datetime) -> datetime | None:
        """When the job's next run was due, if it is by now: the last time, if several were missed."""
        text = job.spec.get("schedule")
        try:
            schedule = parse_schedule(text if isinstance(text, str) else "")
        except InvalidFieldError:
            return None
        since = last_run(job.output).run_time or job.create_time or now
        return self._last_due(schedule, since, now)


@contextmanager
def leading(connection: Connection, idle_seconds: float = LEAD_SECONDS) -> Iterator[bool]:
    """Whether this session leads, from now on until it ends, or is idle for `idle_seconds`."""
    with translated():
        row = connection.execute(TRY_LEADING, (f"{idle_seconds * 1000:.0f}",)).fetchone()
        assert row is not None
        yield bool(row[0])
