"""The loops that hash many events: the leaves of rows, and the nodes above them.

This file needs only the standard library, and little of it: a process that only hashes loads it
alone (infra/proof/audit/hash_process.py), and starts in 10 ms.
"""

from __future__ import annotations

import hashlib
from struct import Struct, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

HASH_SIZE: Final = 32
SALT_SIZE: Final = 32
TILE: Final = 256
"""Leaves to a tile, and to the key of their salts."""
DATA_START: Final = 18
"""The offset of the data in a row of binary COPY: after the number of columns, the position, and its length."""
DATA_LENGTH: Final = Struct(">14xi")
"""Reads the length of the data in such a row; -1 if there is none."""
_LEAF: Final = b"\0\1"
"""The prefix of a leaf's fields when it is hashed: RFC 6962's, and the version of the encoding."""


def salts(key: bytes) -> bytes:
    """Returns the salts of a tile's leaves, concatenated."""
    return hashlib.shake_256(key).digest(TILE * SALT_SIZE)


def hash_rows(rows: Sequence[bytes], salts: bytes) -> bytes:
    """Returns the hashes of the leaves of these rows of binary COPY, concatenated.

    Args:
        rows: As `copy_entries.sql` sends them.
        salts: Those of the leaves, concatenated; there may be more.

    Returns:
        32 bytes for each row.
    """
    sha256, count = hashlib.sha256, len(rows)
    each = unpack("32s" * count, salts[: count * SALT_SIZE])
    # No event is without data; but who took the constraint away may have taken that, too.
    ends = [
        DATA_START + length if length > 0 else DATA_START
        for (length,) in map(DATA_LENGTH.unpack_from, rows)
    ]
    return b"".join(
        [
            sha256(_LEAF + row[end:] + sha256(salt + row[DATA_START:end]).digest()).digest()
            for salt, row, end in zip(each, rows, ends, strict=True)
        ]
    )


def hash_pairs(hashes: bytes) -> bytes:
    """Returns the next level: a hash for each two consecutive hashes; an odd one is left out."""
    sha256, count = hashlib.sha256, len(hashes) // (2 * HASH_SIZE)
    pairs = unpack("64s" * count, hashes[: count * 2 * HASH_SIZE])
    return b"".join([sha256(b"\1" + pair).digest() for pair in pairs])


def root_of(hashes: bytes) -> bytes:
    """Returns the root over these hashes of leaves or whole trees; their number is a power of two."""
    while len(hashes) > HASH_SIZE:
        hashes = hash_pairs(hashes)
    return hashes
