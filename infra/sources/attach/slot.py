"""A publication and a logical replication slot in another system's database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from typing import Any, Final, NamedTuple

import psycopg
from jobledger.infra.errors import AttachError, LedgerUnavailableError, SourceUnavailableError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.sources.attach.pgoutput import Decoder, Transaction
from psycopg.generators import execute
from psycopg.rows import dict_row, scalar_row
from psycopg.sql import SQL, Identifier, Literal

PEEK: Final = sql.load(__package__, "peek")
BOUNDS: Final = sql.load(__package__, "bounds")
STATUS: Final = sql.load(__package__, "status")
REQUIREMENTS: Final = sql.load(__package__, "requirements")
IDENTITIES: Final = sql.load(__package__, "identities")
UNPUBLISHED: Final = sql.load(__package__, "unpublished")
FULL: Final = "FULL"
BATCH_CHANGES: Final = 50_000
"""Roughly how many changes are read at once, if they are not too large."""
BATCH_BYTES: Final = 32 * 1024**2
"""How much of the log is read at once, including changes of other tables."""
LOST: Final = frozenset({"lost", "unreserved"})


Source = psycopg.Connection[dict[str, Any]]
"""A connection to the source."""


class SlotStatus(NamedTuple):
    """How far a slot is behind its server."""

    is_active: bool
    wal_status: str | None
    """`reserved`, `extended`, `unreserved`, or `lost`; None if the server does not say."""
    confirmed_lsn: str | None
    """The place in the log up to which changes were copied."""
    end_lsn: str
    """The end of the server's log."""
    behind_bytes: int
    """Bytes of the log that were not copied yet."""
    kept_bytes: int
    """Bytes of the log that the server keeps for the slot."""


class Snapshot(NamedTuple):
    """Rows as they were when a slot was created: (table, row)."""

    lsn: str
    rows: Iterator[tuple[str, dict[str, Any]]]


class Slot:
    """The publication and the slot of one name in one database."""

    def __init__(self, dsn: str, name: str) -> None:
        """`dsn` is libpq's connection string of the source's database."""
        self._dsn = dsn
        self.name = name
        self._keeps = False
        self._kept: Source | None = None

    def check(self) -> None:
        """Raises AttachError if the server, or the role, cannot follow changes."""
        with self._connection() as connection:
            row = connection.execute(REQUIREMENTS).fetchone()
        assert row is not None
        if row["wal_level"] != "logical":
            raise AttachError(
                "wal_level",
                f"is {row['wal_level']} and must be logical: ALTER SYSTEM SET wal_level = logical,"
                " then restart the server",
            )
        if not row["may_replicate"]:
            raise AttachError(
                "role",
                f"{row['role']} may not replicate: ALTER ROLE {row['role']} REPLICATION",
            )

    @contextmanager
    def create(
        self, tables: Sequence[str], whole_rows: Sequence[str], queries: Mapping[str, str]
    ) -> Iterator[Snapshot]:
        """Creates the publication and the slot, and reads the existing rows.

        The rows are those of the moment at which the slot begins, so that none is missed or comes twice.

        Args:
            tables: The tables to follow.
            whole_rows: The tables whose old rows are needed: their replica identity becomes FULL.
            queries: Queries for the rows of some tables; of the others all columns are read.

        Yields:
            The moment and the rows.

        Raises:
            AttachError: A slot of that name exists.
        """
        with self._connection() as connection:
            for table in whole_rows:
                connection.execute(
                    SQL("ALTER TABLE {} REPLICA IDENTITY FULL").format(
                        Identifier(*table.split("."))
                    )
                )
            names = SQL(", ").join(Identifier(*table.split(".")) for table in tables)
            connection.execute(
                SQL("CREATE PUBLICATION {} FOR TABLE {}").format(Identifier(self.name), names)
            )
        with (
            closing(psycopg.connect(self._dsn, autocommit=True, replication="database")) as making,
            self._connection() as reading,
        ):
            lsn, snapshot = self._create(making)
            reading.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            reading.execute(SQL("SET TRANSACTION SNAPSHOT {}").format(Literal(snapshot)))
            yield Snapshot(lsn, _rows(reading, tables, queries))

    def unpublished(self, tables: Sequence[str]) -> list[str]:
        """Returns the tables that are not in the publication."""
        with self._connection() as connection:
            rows = connection.execute(UNPUBLISHED, {"tables": list(tables), "name": self.name})
            return [row["table"] for row in rows]

    def publish(self, tables: Sequence[str]) -> None:
        """Adds tables to the publication: the slot has their changes from now on."""
        names = SQL(", ").join(Identifier(*table.split(".")) for table in tables)
        with self._connection() as connection:
            connection.execute(
                SQL("ALTER PUBLICATION {} ADD TABLE {}").format(Identifier(self.name), names)
            )

    def _create(self, connection: psycopg.Connection[Any]) -> tuple[str, str]:
        statement = SQL("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput EXPORT_SNAPSHOT")
        text = statement.format(Identifier(self.name)).as_string(connection)
        connection.pgconn.send_query(text.encode())
        # The server waits until the transactions that run now have ended; Ctrl-C ends that.
        result = connection.wait(execute(connection.pgconn))[-1]
        if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
            why = " ".join((result.error_message or b"").decode().split())
            raise AttachError("slot", f"{self.name!r} cannot be made: {why}")
        _, lsn, snapshot, _ = (result.get_value(0, n) or b"" for n in range(4))
        return lsn.decode(), snapshot.decode()

    @cached_property
    def source(self) -> str:
        """The identifier of the source's server; a standby that replaces it has the same."""
        return self.value("SELECT system_identifier FROM pg_control_system()") or ""

    def peek(self, advance: Callable[[str], object] | None = None) -> list[Transaction]:
        """Returns the next transactions, up to about 50,000 changes or 32 MiB of the log.

        They stay until `advance`.

        Args:
            advance: Lets go of a part of the log without any; by default the method `advance`.

        Returns:
            The transactions, in the order of their commits; none if there are no more.

        Raises:
            AttachError: The slot is missing, or the server's log for it is gone.
        """
        let_go, end = 0, None
        while True:
            with self._connection() as connection:
                row = connection.execute(BOUNDS, {"slot": self.name}).fetchone()
                if row is None:
                    raise AttachError("slot", f"there is no slot {self.name!r} any more")
                since = lsn_number(row["since"])
                # A ledger on the same server adds to the log when it keeps what is let go.
                end = end or lsn_number(row["flushed"])
                until = min(since + BATCH_BYTES, end)
                if since >= end or since < let_go:
                    return []
                if found := self._read(connection, lsn_text(until)):
                    return found
            let_go = until
            (advance or self.advance)(lsn_text(until))

    def _read(self, connection: Source, until: str) -> list[Transaction]:
        decoder = Decoder()
        asked = {"slot": self.name, "until": until, "changes": BATCH_CHANGES}
        try:
            cursor = connection.cursor(binary=True, row_factory=scalar_row)
            messages = cursor.execute(PEEK, asked).fetchall()
        except psycopg.errors.UndefinedObject:
            raise AttachError("slot", f"there is no slot {self.name!r} any more") from None
        except psycopg.errors.ObjectNotInPrerequisiteState as error:
            raise AttachError("slot", error.diag.message_primary or str(error)) from None
        except psycopg.errors.ObjectInUse as error:
            raise AttachError("slot", error.diag.message_primary or str(error)) from None
        read = map(decoder.read, messages)
        return [transaction for transaction in read if transaction is not None]

    def advance(self, lsn: str) -> None:
        """Lets the server remove the part of its log that was recorded."""
        with self._connection() as connection:
            connection.execute(
                "SELECT pg_replication_slot_advance(%s, %s::pg_lsn)", (self.name, lsn)
            )

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Keeps one connection for all queries; opens a new one if it breaks."""
        self._keeps = True
        try:
            yield
        finally:
            self._keeps = False
            self._end()

    def _end(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def status(self) -> SlotStatus | None:
        """Returns how far the slot is behind; None if there is no such slot."""
        with self._connection() as connection:
            row = connection.execute(STATUS, {"slot": self.name}).fetchone()
        return None if row is None else SlotStatus(**row)

    def drop(self) -> None:
        """Removes the slot and the publication, if they exist."""
        with self._connection() as connection:
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                " WHERE slot_name = %s",
                (self.name,),
            )
            connection.execute(SQL("DROP PUBLICATION IF EXISTS {}").format(Identifier(self.name)))

    def identities(self, tables: Sequence[str]) -> dict[str, str]:
        """Returns the replica identity of each of these tables: DEFAULT, NOTHING, FULL, or an index."""
        with self._connection() as connection:
            rows = connection.execute(IDENTITIES, {"tables": list(tables)}).fetchall()
        return {row["table"]: row["identity"] for row in rows}

    def restore(self, identities: Mapping[str, str]) -> None:
        """Gives tables the replica identity that they had, unless somebody else changed it."""
        now = self.identities(list(identities))
        with self._connection() as connection:
            for table in (each for each, found in now.items() if found == FULL):
                named = identities[table]
                plain = named in ("DEFAULT", "NOTHING")
                connection.execute(
                    SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(
                        Identifier(*table.split(".")),
                        SQL(named) if plain else SQL("USING INDEX {}").format(Identifier(named)),
                    )
                )

    def tables(self, wanted: Sequence[str]) -> set[str]:
        """Returns which of the tables exist."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT t FROM unnest(%s::text[]) AS t WHERE to_regclass(t) IS NOT NULL",
                (list(wanted),),
            ).fetchall()
        return {row["t"] for row in rows}

    def value(self, query: str) -> str | None:
        """Returns the first value of a mapping's query, as text; None if there is none."""
        with self._connection() as connection:
            row = connection.execute(query.encode()).fetchone()
        return None if row is None else str(next(iter(row.values())))

    @contextmanager
    def _connection(self) -> Iterator[Source]:
        try:
            with translated(), _of_source():
                if not self._keeps:
                    with closing(self._connect()) as connection:
                        yield connection
                    return
                if self._kept is None:
                    self._kept = self._connect()
                yield self._kept
        except LedgerUnavailableError as error:
            self._end()
            raise SourceUnavailableError(error.reason) from None

    def _connect(self) -> Source:
        return psycopg.connect(self._dsn, autocommit=True, row_factory=dict_row)


@contextmanager
def _of_source() -> Iterator[None]:
    """Translates errors that are caused by the source into AttachError."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise AttachError(
            "role",
            f"{error.diag.message_primary or error} in the source: attach as the owner of the tables,"
            " with CREATE on the database",
        ) from None
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise AttachError(
            "version",
            f"the source's schema is not one that the mapping is for: {error.diag.message_primary or error}",
        ) from None


def lsn_number(lsn: str) -> int:
    """Returns a place in the log, such as `16/B374D848`, as a number."""
    high, low = lsn.split("/")
    return int(high, 16) << 32 | int(low, 16)


def lsn_text(number: int) -> str:
    """Returns the same in PostgreSQL's form."""
    return f"{number >> 32:X}/{number & 0xFFFF_FFFF:X}"


def _rows(
    connection: psycopg.Connection[dict[str, Any]],
    tables: Sequence[str],
    queries: Mapping[str, str],
) -> Iterator[tuple[str, dict[str, Any]]]:
    for table in tables:
        whole = SQL("SELECT * FROM {}").format(Identifier(*table.split("."))).as_bytes(connection)
        with connection.cursor("jobledger_snapshot") as cursor:
            statement = queries[table].encode() if table in queries else whole
            for row in cursor.execute(statement):
                yield table, row
