"""Leaves as they are read from the events: one row of binary COPY is one leaf's content, see domain/leaves.py."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from jobledger.domain.leaves import VERSION
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection
from psycopg.sql import SQL

COPY_ENTRIES: Final = sql.load("jobledger.infra.proof", "copy_entries").decode()
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END: Final = b"\xff\xff"
_DATA: Final = 6
_FIELDS: Final = _DATA + 12
"""Where what is in the leaf begins, in a row without data: behind their number, its length, and the position."""


class Stored(NamedTuple):
    """What the events table holds of one leaf."""

    position: int
    data: bytes
    fields: bytes
    """The entry without its first byte and its commitment."""

    def hash(self, salt: bytes) -> bytes:
        """The leaf's hash."""
        sha256 = hashlib.sha256
        commitment = sha256(salt + self.data).digest()
        return sha256(b"\0" + VERSION + self.fields + commitment).digest()


def read_stored(connection: Connection, first: int, last: int) -> Iterator[Stored]:
    """The events at these positions, in their order."""
    statement = SQL(COPY_ENTRIES).format(first=first, last=last)
    with connection.cursor().copy(statement) as copy:
        for message in copy:
            # A message is a row (PostgreSQL, "Message Formats": CopyData), the first behind the header.
            row = bytes(message).removeprefix(HEADER)
            if row == END:
                continue
            end = _DATA + int.from_bytes(row[2:_DATA])
            position = int.from_bytes(row[end + 4 : end + 12])
            yield Stored(position, row[_DATA:end], row[end + 12 :])
