"""A ledger for a program that runs another one: one connection, and no background work."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from jobledger.domain.running import Destination
from jobledger.infra.errors import LedgerNotFoundError
from jobledger.infra.eventstore.commit.committer import Committer
from jobledger.infra.eventstore.writer import Writer
from jobledger.infra.postgres import schema_versions
from jobledger.infra.postgres.connections import Connection, connect
from jobledger.infra.postgres.few_connections import FewConnections
from jobledger.infra.postgres.server import server
from jobledger.infra.programs.leases import end_lease, keep_lease
from jobledger.infra.read.reader import Reader
from jobledger.infra.settings import Settings
from psycopg.conninfo import conninfo_to_dict, make_conninfo

CONNECT_SECONDS: Final = 5
UNANSWERED_MILLISECONDS: Final = 10_000
"""How long a server may leave what was sent to it unacknowledged."""
RECONNECT_SECONDS: Final = 2.0
ADDRESS_VARIABLES: Final = (("host", "PGHOST"), ("hostaddr", "PGHOSTADDR"), ("port", "PGPORT"),
                 ("dbname", "PGDATABASE"), ("service", "PGSERVICE"))  # fmt: skip
"""Keys of a database's address in a connection string, and libpq's variables."""


class RunStore:
    """One ledger, for reading and writing by one thread at a time."""

    def __init__(self, info: str, name: str, connection: Connection) -> None:
        """`connection` is one to the ledger's schema, and is closed with the store."""
        self._info = info
        self._connection = connection
        self.reader = Reader(info, name, FewConnections(info))
        committer = Committer(self.connection, reconnect_timeout=RECONNECT_SECONDS)
        self.writer = Writer(committer, self.reader.feed, self.reader.keys)

    @classmethod
    def open(cls, dsn: str | None, ledger: str, make: Callable[[], object]) -> Self:
        """Opens a ledger.

        Args:
            dsn: The connection string; None for the embedded server.
            ledger: The ledger's name.
            make: Makes the ledger on the embedded server if there is none.

        Returns:
            The ledger.

        Raises:
            LedgerUnavailableError: It cannot be reached within CONNECT_SECONDS.
            LedgerNotFoundError: The server that is named has no ledger of that name.
            SchemaError: This program cannot use it.
        """
        info = make_conninfo(
            server(dsn, ledger),
            connect_timeout=CONNECT_SECONDS,
            tcp_user_timeout=UNANSWERED_MILLISECONDS,
        )
        connection = connect(info)
        try:
            try:
                schema_versions.check(connection, ledger)
            except LedgerNotFoundError:
                if dsn or Settings().dsn:
                    raise
                make()
        except BaseException:
            connection.close()
            raise
        return cls(info, ledger, connection)

    def connection(self) -> Connection:
        """Returns the connection, reconnected if it broke; raises LedgerUnavailableError."""
        if self._connection.closed:
            self._connection = connect(self._info)
        return self._connection

    def keep_lease(self, name: str, run_id: str, heartbeat_seconds: float) -> None:
        """Records one heartbeat of a run that sends one per interval."""
        keep_lease(self.connection(), name, run_id, heartbeat_seconds)

    def end_lease(self, name: str, run_id: str) -> None:
        """Removes a run's lease."""
        end_lease(self.connection(), name, run_id)

    def checkpoint(self) -> None:
        """Signs a checkpoint, if this process signs; raises ProofError for unusable keys or witnesses."""
        settings = Settings()
        if not settings.seal:
            return
        from jobledger.infra.proof.publishing.checkpointer import Checkpointer

        checkpointer = Checkpointer(self._info, settings, connection=self.connection())
        try:
            checkpointer.checkpoint()
        finally:
            checkpointer.close()

    def close(self) -> None:
        """Closes the connections."""
        self.writer.close()
        self._connection.close()
        self.reader.close()


def destination(dsn: str | None, ledger: str) -> Destination:
    """Returns the ledger's address for a run's file, without a password or a role's name."""
    named = dsn or Settings().dsn
    return destination_of(named, ledger) if named else Destination(_embedded(), ledger)


def destination_of(info: str, ledger: str) -> Destination:
    """Returns the same for a connection string."""
    given: dict[str, Any] = conninfo_to_dict(info)
    places = {
        key: given.get(key) or os.environ.get(variable) for key, variable in ADDRESS_VARIABLES
    }
    if _is_embedded(str(places["host"])):
        return Destination(_embedded(), ledger)
    return Destination(" ".join(f"{k}={v}" for k, v in places.items() if v), ledger)


def _embedded() -> str:
    return f"embedded under {Settings().home.expanduser().resolve()}"


def _is_embedded(host: str) -> bool:
    """Whether a host is the socket folder of the embedded server."""
    folder = Path(host)
    data = Settings().home.expanduser().resolve() / "postgres"
    return folder.is_absolute() and (folder == data or folder.name.startswith("jobledger-"))
