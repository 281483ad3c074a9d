"""The ledger as Python sees it: opened, written to (writing.py), read (past/reads.py), and proved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from threading import Event as Signal
from typing import Any, Final, Self

from jobledger.domain import names
from jobledger.domain.errors import (
    JobNotFoundError,
    LedgerError,
)
from jobledger.domain.job import Job
from jobledger.infra.background import Behind
from jobledger.infra.errors import ProofError
from jobledger.infra.evaluation.samples.recording import Sampling
from jobledger.infra.eventstore.committer import Committer
from jobledger.infra.eventstore.feed import LAST_VERSION, Feed
from jobledger.infra.eventstore.pending import Waiting
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.eventstore.writer import Writing
from jobledger.infra.postgres import migrate
from jobledger.infra.postgres.connections import (
    Connection,
    connect,
    conninfo,
    open_pool,
    schema_of,
    translated,
)
from jobledger.infra.postgres.embedded import server_dsn
from jobledger.infra.privacy.subject_keys import Shown, Subjects
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.publishing.checkpointer import Sealer
from jobledger.infra.proof.receipts import Receipt, make_receipt
from jobledger.infra.proof.signing.notes import Note
from jobledger.infra.proof.signing.origin import name_log
from jobledger.infra.read.reader import Reads
from jobledger.infra.settings import Settings
from jobledger.infra.upkeep.rebuild import rebuild
from psycopg_pool import ConnectionPool

READERS: Final = 16


class Host:
    """Where callers wait for the ledger: each in its thread."""

    def pool(self, info: str, size: int) -> ConnectionPool[Connection]:
        """Connections for readers."""
        return open_pool(info, size)

    def committer(self, info: str) -> Committer:
        """Who writes for all callers."""
        return Committer(lambda: connect(info))

    def current(self, ledger: Reads, name: str) -> Job | None:
        """A job as it is, also a deleted one; None if there is none."""
        return ledger.read_current(name)

    def lock(self) -> Waiting | None:
        """What the caller of a write waits on; None: a lock that blocks its thread."""
        return None


class Ledger(Writing, Reads, Sampling):
    """One ledger, opened for writing and reading by any number of threads of this process."""

    follows = True
    """Whether a thread lets projections follow what is written; where not, who reads them does."""

    def __init__(self, info: str, ledger: str, host: Host | None = None) -> None:
        self.conninfo = info
        """libpq's connection string, with the search_path that makes it this ledger's."""
        self.name = ledger
        self._host = Host() if host is None else host
        Reads.__init__(self, self._host.pool(info, READERS))
        Writing.__init__(self, self._host.committer(info), Subjects(self.pool))
        self._closed = Signal()
        self._feed = Feed(self.pool, self._closed)
        self._sealer = Sealer(info, Settings())
        self._tree = Tree()
        self._behind = self._works_behind()

    @classmethod
    def open(
        cls, dsn: str | None = None, ledger: str | None = None, host: Host | None = None
    ) -> Self:
        """Opens a ledger that `jobledger init` made.

        `dsn` is libpq's connection string; None means JOBLEDGER_DSN, and without
        that the embedded server under JOBLEDGER_HOME, where the ledger is made if
        it does not exist. `ledger` is its name ("default", or JOBLEDGER_LEDGER).
        `host` says where callers wait, if not in threads of their own.

        Raises SchemaError if the ledger is missing or of another version, and
        LedgerUnavailableError if the server cannot be reached.
        """
        settings = Settings()
        ledger = settings.ledger if ledger is None else ledger
        info = server(dsn, ledger)
        with connect(info) as connection:
            # A server of our own holds nobody else's data: nothing to be careful of.
            if not (dsn or settings.dsn) and not migrate.exists(connection, ledger):
                migrate.migrate(connection, ledger, rebuild)
                name_log(connection, settings)
            migrate.check(connection, ledger)
        return cls(info, ledger, host)

    def close(self) -> None:
        """Writes what still waits, ends all feeds and closes the connections."""
        self._closed.set()
        self._committer.close()
        for work in self._behind:
            work.close()
        self._sealer.close()
        self.pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def history(self, name: str, after: int = 0, until: int = LAST_VERSION) -> list[RecordedEvent]:
        """Events of a job after a version, up to another, oldest first; all, where none are said.

        Also of a deleted job. Raises JobNotFoundError where there are none.
        """
        events = self._feed.history(names.parse_name(name), after, until)
        if not events:
            raise JobNotFoundError(name)
        return events

    def events(self, after: int = 0, *, follow: bool = True) -> Iterator[RecordedEvent]:
        """The live feed: events after a position, in commit order, none missing and none twice.

        It waits for more until the ledger is closed; with `follow=False` it ends at the last one.
        """
        return self._feed.events(after, follow=follow)

    def reveal(self, value: Any) -> Any:
        """JSON that is stored with personal parts (`@personal`), as it is shown: with their values.

        A part whose subject was erased, at the latest some seconds ago, is `{"@erased": …}`.
        Raises BrokenLedgerError for one that is not what was sealed. What is read of the ledger
        otherwise, jobs and events, is as it is stored.
        """
        return self._subjects.reveal(value)

    def reveal_text(self, encoded: bytes) -> bytes:
        """The same of JSON that is encoded already; the very same bytes if it has no such parts."""
        return self._subjects.reveal_text(encoded)

    def opened(self, shown: Shown) -> Shown:
        """The same of a job or an event, to be shown: what is recorded again must stay as it is stored."""
        return self._subjects.opened(shown)

    def size(self) -> int:
        """How many events there are: the last position."""
        return self._feed.size()

    def seal(self) -> Note | None:
        """Lets the log's tree grow over all events now, and signs it: a C2SP tlog-checkpoint.

        Returns None where that was signed already, or no key of the log is here. Raises
        ForkedError where the log is not what was signed before.
        """
        return self._sealer.seal()

    def receipt(self, name: str, version: int | None = None) -> Receipt:
        """That an event of a job is in the log, to be checked offline; the last one if no version is said.

        Seals what is not sealed yet. Raises JobNotFoundError, InvalidFieldError for a version
        there is not, and ProofError where nothing can be signed here.
        """
        parsed = names.parse_name(name)
        with translated(), self.pool.connection() as connection:
            try:
                return make_receipt(connection, self._tree, parsed, version)
            except ProofError:
                self.seal()
                return make_receipt(connection, self._tree, parsed, version)

    def connection(self) -> Connection:
        """A connection of your own to this ledger's schema, in autocommit; close it after use."""
        return connect(self.conninfo)

    def _works_behind(self) -> list[Behind]:
        works = []
        if self.follows:
            works.append(Behind("jobledger-follower", self._follow_all, pause=1.0))
        if Settings().seal:
            sealing = Behind("jobledger-sealer", self._sealer.seal_all, at_end=True)
            self._sealer.is_busy = sealing.is_busy
            works.append(sealing)
        return works

    def _follow_all(self, closed: Signal) -> None:
        # Whoever writes or reads will say what is wrong with the server.
        with suppress(LedgerError):
            self._moments.follow_all(closed)

    def _lock(self) -> Waiting | None:
        return self._host.lock()

    def _wake(self) -> None:
        for work in self._behind:
            work.wake()

    def _current(self, name: str) -> Job | None:
        return self._host.current(self, name)


def server(dsn: str | None, ledger: str) -> str:
    """The connection string of a ledger's schema, on the server that `Ledger.open` would use."""
    return conninfo(server_of(dsn), schema_of(ledger))


def server_of(dsn: str | None) -> str:
    """`dsn` if there is one, else JOBLEDGER_DSN, else the embedded server, started if need be."""
    settings = Settings()
    return dsn or settings.dsn or server_dsn(settings.home)
