"""Seals what was written: lets the log's tree grow over it, and signs the tree.

Any process that writes lets the tree grow; the one that has the log's key signs. A crash between
the two, or before them, leaves work for the next, and nothing to mend.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event as Signal
from threading import Lock
from typing import Final

import psycopg
from jobledger.domain.errors import LedgerError
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.postgres.connections import Connection, connect
from jobledger.infra.proof.log.growth import grow
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.publishing.announcer import Announcer
from jobledger.infra.proof.signing.keys import find_keys, last_signed_file
from jobledger.infra.proof.signing.notes import Note
from jobledger.infra.proof.signing.signer import Signer
from jobledger.infra.settings import Settings

LOG: Final = logging.getLogger("jobledger.proof")
SHARE: Final = 10
"""While others write, sealing takes one part in so many of the interpreter's time. Of single events
that is enough to keep up; a bulk import is caught up with when it is over."""
AT_THE_END: Final = 100_000
"""Events that others left unsealed, of which a process takes care before it ends; more wait for one that goes on."""


class Sealer:
    """Seals one ledger; any number of threads may."""

    def __init__(self, info: str, settings: Settings) -> None:
        """Raises ProofError where the settings say of witnesses and places what cannot be read."""
        self._info = info
        self._settings = settings
        self._announcer = Announcer(info, settings)
        self.is_busy: Callable[[], bool] = lambda: False
        """Whether others of this process are writing."""
        self._inherited: bool | None = None
        """Whether more was unsealed, when it began, than a process should end with; None before that."""
        self._went_on = 0.0
        self._tree = Tree()
        self._lock = Lock()
        self._connection: Connection | None = None

    def seal_all(self, closed: Signal) -> None:
        """Seals all there is, behind the writers' backs; what is wrong is logged."""
        try:
            self.seal(closed)
        except LedgerUnavailableError:
            pass  # Whoever writes will say so, and what is left is sealed later.
        except LedgerError as error:
            LOG.error("not sealed: %s", error)  # noqa: TRY400 - the sentence says it all
        except psycopg.Error:
            LOG.exception("not sealed")

    def seal(self, closed: Signal | None = None) -> Note | None:
        """Seals all there is; returns the new checkpoint, None if there was none to sign or no key.

        Raises ForkedError where the log is not what was signed before, and ProofError for a key
        that cannot be used.
        """
        with self._lock:
            connection = self._connected()
            self._grow(connection, closed)
            return self._sign(connection)

    def close(self) -> None:
        """Gives its connection back, once what was signed last is announced."""
        self._announcer.close()
        with self._lock:
            if self._connection is not None:
                self._connection.close()

    def _grow(self, connection: Connection, closed: Signal | None) -> None:
        ending = closed is not None and closed.is_set()
        standing = self._tree.standing(connection)
        if self._inherited is None:
            self._inherited = standing.events - standing.size > AT_THE_END
        if ending and self._inherited:
            return
        size = standing.size
        while size < standing.events:
            rest = None if closed is None or ending else self._rest
            self._went_on = time.monotonic()
            reached = grow(connection, size, standing.events, rest)
            # Where somebody else was faster, it goes on from where they came.
            size = reached if reached > size else self._tree.standing(connection).size
            if closed is not None and closed.is_set() and not ending:
                return

    def _rest(self) -> None:
        """Lets the process's other threads go on."""
        worked = time.monotonic() - self._went_on
        time.sleep(worked * (SHARE - 1) if self.is_busy() else worked / SHARE)
        self._went_on = time.monotonic()

    def _sign(self, connection: Connection) -> Note | None:
        origin = self._tree.standing(connection).origin
        keys = find_keys(self._settings, origin)
        if not keys:
            return None
        signer = Signer(origin, keys, last_signed_file(self._settings, origin))
        note = signer.sign(connection, self._tree)
        if note is not None:
            self._announcer.after(connection, self._tree, note)
        return note

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._info)
        return self._connection
