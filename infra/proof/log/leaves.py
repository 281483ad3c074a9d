"""Reads leaves from events: a row of binary COPY contains a leaf (see domain/proof/leaves.py)."""

from collections.abc import Generator, Iterator, Sequence
from typing import Final, NamedTuple, Self

from jobledger.domain.proof.hashing import DATA_LENGTH, DATA_START
from jobledger.domain.proof.leaves import SALT_SIZE, TILE, VERSION, Entry, commit
from jobledger.domain.proof.merkle import hash_leaf
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import ExecStatus
from psycopg.sql import Literal

COPY_ENTRIES: Final = sql.template(__package__, "copy_entries")
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END: Final = b"\xff\xff"
BATCH_ROWS: Final = 4_096
"""Rows held at once by `read_rows`."""
_POSITION: Final = slice(6, 14)
"""The offset of the position in a row: after the number of fields, and its own length."""


class Stored(NamedTuple):
    """The stored parts of one leaf."""

    position: int
    data: bytes
    fields: bytes
    """The entry without its first byte and its commitment."""

    @classmethod
    def of(cls, row: bytes) -> Self:
        """Parses a row of `copy_rows`."""
        # Events always have data; but without the constraint, an attacker may have removed it.
        end = DATA_START + max(0, DATA_LENGTH.unpack_from(row)[0])
        return cls(position_of(row), row[DATA_START:end], row[end:])

    def entry(self, salt: bytes) -> bytes:
        """Returns the entry, the content of the leaf."""
        return VERSION + self.fields + commit(salt, self.data)

    def hash(self, salt: bytes) -> bytes:
        """Returns the leaf's hash."""
        return hash_leaf(self.entry(salt))

    @property
    def name(self) -> str:
        """The job's name; empty if it cannot be read."""
        try:
            return Entry.decode(self.entry(bytes(SALT_SIZE))).name
        except ValueError:
            return ""


class RowCopy:
    """Reads the rows of the events at some positions, for `Stored.of` and `hash_rows`.

    The connection is busy from `with` to its end.

    Args:
        connection: A connection to the ledger's schema.
        first: The first position.
        last: The last position.
    """

    def __init__(self, connection: Connection, first: int, last: int) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._statement = COPY_ENTRIES.format(first=Literal(first), last=Literal(last)).as_bytes()
        self._begins = self._is_open = True

    def __enter__(self) -> Self:
        # libpq's own wait, for a lock on the table, could not be interrupted.
        self._pg.send_query(self._statement)
        [began] = self._connection.wait(execute(self._pg))
        if began.status != ExecStatus.COPY_OUT:
            raise error_from_result(began)
        return self

    def take(self, count: int) -> list[bytes]:
        """Returns the next rows: so many, or fewer at the end."""
        # psycopg's copy() is 50 % slower, and this reads every event of a ledger.
        read, rows = self._pg.get_copy_data, list[bytes]()
        for _ in range(count if self._is_open else 0):
            length, message = read(0)
            if length <= len(END):  # Shorter than any row.
                self._read_to_end(is_open=length > 0)
                break
            rows.append(bytes(message))
        if rows and self._begins:
            # A message is a row (PostgreSQL, "Message Formats": CopyData), the first behind the header.
            self._begins, rows[0] = False, rows[0][len(HEADER) :]
            if rows[0] == END:
                rows.clear()
        return rows

    def __exit__(self, *_: object) -> None:
        if self._is_open:
            self._read_to_end(is_open=True)

    def _read_to_end(self, *, is_open: bool) -> None:
        """Reads the rest: to cancel would abort the surrounding transaction."""
        self._is_open = False
        while is_open:
            is_open = self._pg.get_copy_data(0)[0] > 0
        for result in list(iter(self._pg.get_result, None)):
            if result.status != ExecStatus.COMMAND_OK:
                raise error_from_result(result)


def copy_rows(connection: Connection, first: int, last: int) -> Generator[bytes, None, None]:
    """Yields all of its rows; the connection is busy until they are read, or the generator is closed."""
    with RowCopy(connection, first, last) as copy:
        while rows := copy.take(TILE):
            yield from rows


def read_rows(connection: Connection, first: int, last: int) -> Iterator[bytes]:
    """Yields the same in batches, between which the connection can be used."""
    for begin in range(first, last + 1, BATCH_ROWS):
        yield from list(copy_rows(connection, begin, min(begin + BATCH_ROWS - 1, last)))


def are_at(rows: Sequence[bytes], first: int, last: int) -> bool:
    """Whether the rows are the events at all positions from `first` to `last`."""
    if len(rows) != last - first + 1:
        return False
    return not rows or (position_of(rows[0]) == first and position_of(rows[-1]) == last)


def position_of(row: bytes) -> int:
    """Returns the event's position."""
    return int.from_bytes(row[_POSITION])
