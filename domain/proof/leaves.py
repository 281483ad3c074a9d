"""The leaf of an event in the Merkle tree: it covers everything that the ledger stores of the event.

The leaf at index `position - 1` is SHA-256(00 || entry) (RFC 6962), and the entry is, byte by byte:

    01                        the version of this encoding
    name                      UTF-8
    version                   4 bytes, as all numbers big-endian
    type                      UTF-8
    schema                    2 bytes
    occurred time             8 bytes: microseconds since 2000-01-01T00:00:00Z, signed
    recorded time             8 bytes, the same
    actor                     UTF-8, or absent
    request id                UTF-8, or absent
    trace parent              UTF-8, or absent
    commitment                32 bytes

Each field but the first and the last follows its length in 4 bytes. The length FFFFFFFF is an
absent field; the occurred time of an event that is not of a job is absent too. This is PostgreSQL's
binary COPY format, so any client can read leaves from the table.

The commitment is SHA-256(salt || data), where data is the event's data as it is stored. Each event
has its own salt of 32 bytes: the salts of 256 leaves are the output of SHAKE256(key), and the key
is 32 random bytes, stored with the tree. So the data cannot be guessed from a leaf.

This encoding never changes; a new one would have another first byte.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from jobledger.domain.proof import hashing

VERSION: Final = b"\x01"
TILE: Final = hashing.TILE
"""Leaves to a tile, and to the key of their salts."""
SALT_SIZE: Final = hashing.SALT_SIZE
ABSENT: Final = b"\xff\xff\xff\xff"
EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
salts = hashing.salts


class Entry(NamedTuple):
    """The fields of an event's leaf; times are UTC."""

    name: str
    version: int
    type: str
    schema: int
    occurred_time: datetime | None
    recorded_time: datetime
    actor: str | None
    request_id: str | None
    trace_parent: str | None
    commitment: bytes

    def encode(self) -> bytes:
        """Encodes the entry, as the module describes."""
        return VERSION + _fields(self) + self.commitment

    @classmethod
    def decode(cls, encoded: bytes) -> Entry:
        """Decodes an entry.

        Args:
            encoded: The bytes of an entry.

        Returns:
            The entry.

        Raises:
            ValueError: The bytes are not an entry.
        """
        if encoded[:1] != VERSION:
            raise ValueError("is an entry of an unknown version")
        fields, at = list[bytes | None](), 1
        for _ in range(9):
            length = encoded[at : at + 4]
            at += 4
            if length == ABSENT:
                fields.append(None)
                continue
            end = at + int.from_bytes(length)
            fields.append(encoded[at:end])
            at = end
        entry = cls(*_values(fields), encoded[at:])
        if len(entry.commitment) != SALT_SIZE or entry.encode() != encoded:
            raise ValueError("is not an entry")
        return entry


def commit(salt: bytes, data: bytes) -> bytes:
    """Returns the commitment to an event's data."""
    return hashlib.sha256(salt + data).digest()


def salt_at(salts: bytes, index: int) -> bytes:
    """Returns the salt of the leaf at an index of the log."""
    at = index % TILE * SALT_SIZE
    return salts[at : at + SALT_SIZE]


def _fields(entry: Entry) -> bytes:
    values = (
        entry.name.encode(),
        struct.pack(">i", entry.version),
        entry.type.encode(),
        struct.pack(">h", entry.schema),
        None if entry.occurred_time is None else _microseconds(entry.occurred_time),
        _microseconds(entry.recorded_time),
        *(
            None if text is None else text.encode()
            for text in (entry.actor, entry.request_id, entry.trace_parent)
        ),
    )
    return b"".join(
        ABSENT if value is None else struct.pack(">i", len(value)) + value for value in values
    )


def _values(fields: list[bytes | None]) -> tuple[str, int, str, int, datetime | None, datetime, str | None, str | None, str | None]:  # fmt: skip
    name, version, type_, schema, occurred, recorded, *texts = fields
    if name is None or version is None or type_ is None or schema is None or recorded is None:
        raise ValueError("is not an entry")
    if len(version) != 4 or len(schema) != 2:
        raise ValueError("is not an entry")
    actor, request_id, trace_parent = (None if t is None else t.decode() for t in texts)
    return (
        name.decode(),
        int.from_bytes(version, signed=True),
        type_.decode(),
        int.from_bytes(schema, signed=True),
        None if occurred is None else _time(occurred),
        _time(recorded),
        actor,
        request_id,
        trace_parent,
    )


def _microseconds(time: datetime) -> bytes:
    return struct.pack(">q", (time - EPOCH) // _MICROSECOND)


def _time(microseconds: bytes) -> datetime:
    try:
        return EPOCH + timedelta(microseconds=int.from_bytes(microseconds, signed=True))
    except OverflowError:
        raise ValueError("holds a time beyond all time") from None


def digest_of_positions(ranges: Sequence[tuple[int, int]]) -> str:
    """Returns the SHA-256, in hex, of ranges of positions, for the event that records a pruning."""
    text = "".join(f"{first}-{last}\n" for first, last in ranges)
    return hashlib.sha256(text.encode()).hexdigest()
