"""Reads one job, now or as of a moment."""

from typing import Any, Final

from jobledger.domain.errors import JobNotFoundError
from jobledger.domain.job import Job
from jobledger.domain.values.arguments import parse_count, text_of
from jobledger.domain.values.moments import Clock
from jobledger.domain.values.names import parse_name
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Pool, reading_again, translated
from jobledger.infra.read.moments import Given, Moments
from jobledger.projections.jobs import job_of

READ_JOB: Final = sql.load(__package__, "read_job")
READ_JOB_AT: Final = sql.load(__package__, "read_job_at")
READ_JOB_VALID_TIME: Final = sql.load(__package__, "read_job_valid_time")


class OneJob:
    """Reads one job at a time; any number of threads may use it."""

    def __init__(self, pool: Pool, moments: Moments) -> None:
        self._pool = pool
        self._moments = moments

    def get(
        self, name: str, *, as_of: Given | None = None, clock: Clock | str | None = None
    ) -> Job:
        """Returns a job, now or as of a moment (AIP-131).

        Args:
            name: The job's resource name (AIP-122).
            as_of: A version (`v7`), a position (`@4711`), a time, or text such as `2h ago`; None is
                now.
            clock: "occurred" (valid time: when it happened) or "recorded" (transaction time: as the
                ledger knew it); None is "occurred" for a time, and "recorded" for now.

        Returns:
            The job; its times are UTC.

        Raises:
            JobNotFoundError: There was no such job at the moment, or it was deleted.
            InvalidFieldError: The moment is in the future, or cannot be parsed.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.started("projects/demo/jobs/a")
            >>> ledger.get("projects/demo/jobs/a").state.name
            'RUNNING'
            >>> ledger.get("projects/demo/jobs/a", as_of="v1").state.name
            'QUEUED'
        """
        parsed = parse_name(name)
        if as_of is None and clock is None:
            job = self.read_current(parsed)
        else:
            moment = self._moments.find(as_of, clock, name)
            recorded = moment.clock is Clock.RECORDED
            statement = READ_JOB_AT if recorded else READ_JOB_VALID_TIME
            job = self._read(statement, {"name": parsed} | moment._asdict())
        if job is None:
            raise self.missing(name)
        if job.delete_time is not None:
            raise JobNotFoundError(name, deleted=True)
        return job

    def read_current(self, name: str) -> Job | None:
        """Returns a job as it is now, also a deleted one; the name is not checked.

        Args:
            name: The job's resource name (AIP-122).

        Returns:
            The job, or None if there is none.

        Raises:
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> ledger.read_current("projects/demo/jobs/a") is None
            True
        """
        return self._read(READ_JOB, (text_of("name", name),))

    def read_at(self, name: str, position: int) -> Job | None:
        """Returns a job as the ledger knew it at a position, also a deleted one.

        Args:
            name: The job's resource name (AIP-122).
            position: A position of the ledger, from 0.

        Returns:
            The job, or None if the ledger knew none.

        Raises:
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.started("projects/demo/jobs/a")
            >>> ledger.read_at("projects/demo/jobs/a", 1).state.name
            'QUEUED'
        """
        place = {"name": text_of("name", name), "position": parse_count("position", position)}
        return self._read(READ_JOB_AT, place)

    def missing(self, name: str) -> JobNotFoundError:
        """Returns the error for a job without events; it mentions prunings."""
        return JobNotFoundError(name, pruned_before=self._moments.pruned_before())

    @reading_again
    def _read(self, statement: bytes, parameters: tuple[Any, ...] | dict[str, Any]) -> Job | None:
        with translated(), self._pool.connection() as connection:
            row = connection.execute(statement, parameters, binary=True).fetchone()
        return None if row is None else job_of(row)
