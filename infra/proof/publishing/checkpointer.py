"""Makes checkpoints: grows the log's tree over new events, and signs its root.

Any process that writes grows the tree; the process with the log's key signs. A crash between the
two, or before them, leaves work for the next process, and nothing to repair.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event as Signal
from threading import Lock
from typing import TYPE_CHECKING, Final

import psycopg
from jobledger.domain.errors import LedgerError
from jobledger.infra.errors import LedgerClosedError, LedgerUnavailableError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, connect, translated
from jobledger.infra.proof.log.growth import grow
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.keys import find_keys, last_signed_file
from jobledger.infra.proof.signing.notes import Note
from jobledger.infra.proof.signing.pins import pin
from jobledger.infra.proof.signing.signed_database import check_database, keep_database
from jobledger.infra.proof.signing.signer import Signer
from jobledger.infra.settings import Settings
from psycopg.errors import LockNotAvailable
from psycopg.sql import SQL, Literal

if TYPE_CHECKING:
    from jobledger.infra.proof.publishing.announcer import Announcer

LOG: Final = logging.getLogger("jobledger.proof")
MAY_GROW: Final = sql.load(__package__, "may_grow")
WAIT_FOR_GROWTH: Final = sql.load(__package__, "wait_for_growth")
GROWTH: Final = 0x67726F77
"""The first key of the lock ("grow"); the second is the schema's number."""
GROWTH_WAIT_SECONDS: Final = 5.0
"""How long a process waits for another one that grows the tree, which may have stopped."""
BUSY_SHARE: Final = 10
"""While others write, growing takes one part in this many of the interpreter's time. That is enough for
single events; a bulk import is hashed when it is over."""
MAX_EVENTS_AT_END: Final = 100_000
"""Events outside the tree that a process adds before it ends; more wait for another process."""


class Checkpointer:
    """Makes the checkpoints of one ledger; any number of threads may use it."""

    def __init__(
        self,
        info: str,
        settings: Settings,
        is_busy: Callable[[], bool] = lambda: False,
        connection: Connection | None = None,
    ) -> None:
        """Opens no connection yet.

        Args:
            info: The connection string.
            settings: They say whether to sign, by which keys, and where to publish.
            is_busy: Whether this process is writing.
            connection: An open connection to use, and to leave open; None for one of its own.

        Raises:
            ProofError: Settings of witnesses and places cannot be read.
        """
        self._info = info
        self._settings = settings
        self._announcer = _announcer(info, settings)
        self._is_busy = is_busy
        self._has_backlog: bool | None = None
        """Whether too many events were outside the tree when it began; None before that."""
        self._is_allowed: bool | None = None
        self._is_pinned = False
        """Whether the log's name was compared with the name pinned on this machine."""
        self._went_on = 0.0
        self._tree = Tree()
        self._lock = Lock()
        self._connection = connection
        self._is_borrowed = connection is not None
        self._is_closed = False

    def checkpoint_in_background(self, closed: Signal | None) -> None:
        """Makes a checkpoint, and logs errors."""
        try:
            self.checkpoint(closed)
        except LedgerUnavailableError:
            pass  # Writers report it, and the rest is done later.
        except LedgerError as error:
            LOG.error("no checkpoint: %s", error)  # noqa: TRY400 - the sentence says it all
        except psycopg.Error:
            LOG.exception("no checkpoint")

    def checkpoint(self, closed: Signal | None = None) -> Note | None:
        """Signs a checkpoint of all events.

        Args:
            closed: Stops the work early when it is set.

        Returns:
            The note; None without new events, a key, or the privilege.

        Raises:
            ForkedError: The log does not extend the last signed checkpoint.
            ProofError: A key cannot be used.
        """
        with self._lock:
            connection = self._connected()
            if not self._may_grow(connection):
                return None
            with translated():
                self._grow(connection, closed)
            return self._sign(connection)

    def close(self) -> None:
        """Closes its connection, after the last checkpoint was announced."""
        if self._announcer is not None:
            self._announcer.close()
        with self._lock:
            self._is_closed = True
            if self._connection is not None and not self._is_borrowed:
                self._connection.close()

    def _may_grow(self, connection: Connection) -> bool:
        """Whether the database user may grow the tree."""
        if self._is_allowed is None:
            is_allowed, is_standby = connection.execute(MAY_GROW).fetchone() or (False, False)
            if is_standby:  # It may be promoted later.
                return False
            self._is_allowed = bool(is_allowed)
            if not self._is_allowed:
                LOG.info("this role may not make the log grow: another process has to sign it")
        return self._is_allowed

    def _grow(self, connection: Connection, closed: Signal | None) -> None:
        ending = closed is not None and closed.is_set()
        log = self._tree.log_state(connection)
        if self._has_backlog is None:
            self._has_backlog = log.events - log.size > MAX_EVENTS_AT_END
        if ending and self._has_backlog:
            return
        size, waits = log.size, not ending
        rest = None if closed is None or ending else self._rest
        while size < log.events:
            try:
                with connection.transaction():
                    if waits:
                        size = self._wait_for_growth(connection)
                    self._went_on = time.monotonic()
                    reached = (
                        grow(connection, size, log.events, rest) if size < log.events else size
                    )
            except LockNotAvailable:
                waits = False
                continue
            # If another process was faster, continue from its size.
            size = reached if reached > size else self._tree.log_state(connection).size
            if closed is not None and closed.is_set() and not ending:
                return

    def _wait_for_growth(self, connection: Connection) -> int:
        """Waits for a process that makes the tree grow, and keeps others out; returns the tree's size."""
        # Otherwise each process that writes would read and hash the same events.
        milliseconds = round(GROWTH_WAIT_SECONDS * 1_000)
        connection.execute(SQL("SET LOCAL lock_timeout = {}").format(Literal(milliseconds)))
        connection.execute(WAIT_FOR_GROWTH, (GROWTH,))
        return self._tree.log_state(connection).size

    def _rest(self) -> None:
        """Lets the process's other threads run."""
        worked = time.monotonic() - self._went_on
        time.sleep(worked * (BUSY_SHARE - 1) if self._is_busy() else worked / BUSY_SHARE)
        self._went_on = time.monotonic()

    def _sign(self, connection: Connection) -> Note | None:
        origin = self._tree.log_state(connection).origin
        keys = find_keys(self._settings, origin)
        if not keys:
            return None
        check_database(self._settings, connection, origin)
        if not self._is_pinned:
            pin(self._settings, connection, origin)
            keep_database(self._settings, connection, origin)
            self._is_pinned = True
        note = Signer(origin, keys, last_signed_file(self._settings, origin)).sign(
            connection, self._tree
        )
        if note is not None and self._announcer is not None:
            self._announcer.after(connection, self._tree, note)
        return note

    def _connected(self) -> Connection:
        if self._is_closed:
            raise LedgerClosedError
        if self._connection is None or self._connection.closed:
            self._connection, self._is_borrowed = connect(self._info), False
        return self._connection


def _announcer(info: str, settings: Settings) -> Announcer | None:
    """Announces checkpoints; None if no witness and no place is named."""
    if settings.policy is None and not settings.publish.strip():
        return None
    from jobledger.infra.proof.publishing.announcer import Announcer

    return Announcer(info, settings)
