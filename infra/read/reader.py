"""Reads one ledger: jobs now or as of any moment, their events, and the live feed."""

from operator import attrgetter
from threading import Event as Signal
from typing import Final, Self

from jobledger.infra.errors import LedgerClosedError
from jobledger.infra.eventstore.feed import Feed
from jobledger.infra.forwarding import to_part
from jobledger.infra.postgres.abandoned import used_here
from jobledger.infra.postgres.connections import Connection, Pool, connect, open_pool
from jobledger.infra.privacy.subject_keys import SubjectKeys
from jobledger.infra.read.answers import Counts, Page
from jobledger.infra.read.decryption import Decryption
from jobledger.infra.read.event_reader import EventReader
from jobledger.infra.read.many_jobs import ManyJobs
from jobledger.infra.read.moments import Moments
from jobledger.infra.read.one_job import OneJob

__all__ = ["Counts", "Page", "Reader"]

MAX_CONNECTIONS: Final = 16
_one_job: Final = attrgetter("_one_job")
_many_jobs: Final = attrgetter("_many_jobs")
_events: Final = attrgetter("_events")
_moments: Final = attrgetter("_moments")
_decryption: Final = attrgetter("_decryption")


class Reader:
    """Reads one ledger; any number of threads may use it.

    A moment is given as `as_of`: `v7` (a version of one job), `@4711` (a position), a time, or any
    text that `parse_as_of` accepts, such as `2h ago`. A time is read on the clock `clock`:
    "occurred" (valid time, the default) or "recorded" (transaction time). None is now, in
    transaction time unless `clock` is "occurred".
    """

    def __init__(self, info: str, name: str, pool: Pool | None = None) -> None:
        """Opens the connections.

        Args:
            info: libpq's connection string, with the search_path of the ledger's schema.
            name: The ledger's name.
            pool: The connections to use; None for a pool of up to MAX_CONNECTIONS.
        """
        self.conninfo = info
        self.name = name
        self.pool = open_pool(info, MAX_CONNECTIONS) if pool is None else pool
        self.keys = SubjectKeys(self.pool)
        self.closed = Signal()
        self.feed = Feed(self.pool, self.closed)
        self._moments = Moments(self.pool)
        self._one_job = OneJob(self.pool, self._moments)
        self._many_jobs = ManyJobs(self.pool, self._moments)
        self._events = EventReader(self.feed, self._one_job, self.check_open)
        self._decryption = Decryption(self.keys)

    def close(self) -> None:
        """Closes the connections; `end_feeds` comes first."""
        self.end_feeds()
        self.pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def end_feeds(self) -> None:
        """Ends all iterations of `events`."""
        self.closed.set()

    def check_open(self) -> None:
        """Checks that `close` was not called.

        Raises:
            LedgerClosedError: The ledger was closed.
        """
        if self.pool.closed:
            raise LedgerClosedError

    def connection(self) -> Connection:
        """Opens a connection of your own to the ledger's schema, for SQL; close it after use.

        Returns:
            A psycopg connection in autocommit mode.

        Raises:
            LedgerClosedError: The ledger was closed.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> with ledger.connection() as connection:
            ...     connection.execute("SELECT name, type FROM job_events").fetchall()
            [('projects/demo/jobs/a', 'Created')]
        """
        self.check_open()
        connection = connect(self.conninfo)
        used_here(connection)
        return connection

    # One job.
    get = to_part(_one_job, OneJob.get)
    read_current = to_part(_one_job, OneJob.read_current)
    read_at = to_part(_one_job, OneJob.read_at)
    missing = to_part(_one_job, OneJob.missing)

    # Many jobs.
    list = to_part(_many_jobs, ManyJobs.list)
    scan = to_part(_many_jobs, ManyJobs.scan)
    page = to_part(_many_jobs, ManyJobs.page)
    count = to_part(_many_jobs, ManyJobs.count)
    first_page = to_part(_many_jobs, ManyJobs.first_page)
    count_within = to_part(_many_jobs, ManyJobs.count_within)
    names_statement = to_part(_many_jobs, ManyJobs.names_statement)

    # Events.
    history = to_part(_events, EventReader.history)
    history_page = to_part(_events, EventReader.history_page)
    events = to_part(_events, EventReader.events)
    event_at = to_part(_events, EventReader.event_at)
    size = to_part(_events, EventReader.size)
    check_reached = to_part(_events, EventReader.check_reached)
    pruned = to_part(_events, EventReader.pruned)

    # Moments.
    moment = to_part(_moments, Moments.find)
    follow = to_part(_moments, Moments.follow)
    catch_up = to_part(_moments, Moments.follow_all)

    # Personal values.
    decrypt = to_part(_decryption, Decryption.decrypt)
    decrypt_json = to_part(_decryption, Decryption.decrypt_json)
    decrypted = to_part(_decryption, Decryption.decrypted)
