"""Reads leaves from events: a row of binary COPY contains a leaf (see domain/proof/leaves.py)."""

import hashlib
from collections.abc import Generator, Iterator, Sequence
from struct import Struct
from typing import Final, NamedTuple, Self

from jobledger.domain.proof.leaves import SALT_SIZE, VERSION, Entry, commit
from jobledger.domain.proof.merkle import hash_leaf
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.sql import Literal

COPY_ENTRIES: Final = sql.template(__package__, "copy_entries")
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END: Final = b"\xff\xff"
BATCH_ROWS: Final = 4_096
"""Rows held at once by `read_rows`."""
_BEFORE: Final = b"\0" + VERSION
"""The prefix of a leaf's fields when it is hashed."""
_COLUMNS: Final = (11).to_bytes(2)
_POSITION: Final = slice(6, 14)
"""The offset of the position in a row: after the number of fields, and its own length."""
_LENGTH: Final = Struct(">14xi")
_DATA: Final = 18
"""The offset of the data, after its length; the leaf's other fields follow."""


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
        end = _DATA + max(0, _LENGTH.unpack_from(row)[0])
        return cls(position_of(row), row[_DATA:end], row[end:])

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


def copy_rows(connection: Connection, first: int, last: int) -> Generator[bytes, None, None]:
    """Yields the rows of the events at these positions, for `Stored.of` and `hash_rows`.

    The connection is busy until all are read, or the generator is closed.
    """
    pg = connection.pgconn
    began = pg.exec_(COPY_ENTRIES.format(first=Literal(first), last=Literal(last)).as_bytes())
    if began.status != ExecStatus.COPY_OUT:
        raise error_from_result(began)
    # psycopg's own copy() takes half as long again, and every event of a ledger comes through here.
    read, length = pg.get_copy_data, 1
    try:
        while (received := read(0))[0] > 0:
            length, message = received
            # A message is a row (PostgreSQL, "Message Formats": CopyData), the first behind the header.
            row = bytes(message)
            if row[:2] != _COLUMNS:
                row = row.removeprefix(HEADER)
                if row == END:
                    continue
            yield row
        length = 0
    finally:
        # Read to its end: to cancel it would abort the transaction that it is part of.
        while length and read(0)[0] > 0:
            pass
        ended = list(iter(pg.get_result, None))
    for result in ended:
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)


def read_rows(connection: Connection, first: int, last: int) -> Iterator[bytes]:
    """Yields the same in batches, between which the connection can be used."""
    for begin in range(first, last + 1, BATCH_ROWS):
        yield from list(copy_rows(connection, begin, min(begin + BATCH_ROWS - 1, last)))


def hash_rows(rows: Sequence[bytes], salts: bytes) -> bytes:
    """Returns the leaves' hashes, concatenated; `salts` are theirs. This loop must be fast."""
    sha256, length_of = hashlib.sha256, _LENGTH.unpack_from
    each = [salts[at : at + SALT_SIZE] for at in range(0, len(rows) * SALT_SIZE, SALT_SIZE)]
    return b"".join(
        [
            sha256(
                _BEFORE
                + row[(end := _DATA + length_of(row)[0]) :]
                + sha256(salt + row[_DATA:end]).digest()
            ).digest()
            for row, salt in zip(rows, each, strict=True)
        ]
    )


def are_at(rows: Sequence[bytes], first: int, last: int) -> bool:
    """Whether the rows are the events at all positions from `first` to `last`."""
    if len(rows) != last - first + 1:
        return False
    return not rows or (position_of(rows[0]) == first and position_of(rows[-1]) == last)


def position_of(row: bytes) -> int:
    """Returns the event's position."""
    return int.from_bytes(row[_POSITION])
