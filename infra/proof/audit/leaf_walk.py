"""Iterates over the leaves of the log's tree and their events, tile by tile."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from jobledger.domain.proof import leaves
from jobledger.domain.proof.leaves import SALT_SIZE, TILE
from jobledger.domain.proof.merkle import HASH_SIZE
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.audit.damage import Ranges, overlapping
from jobledger.infra.proof.log.leaves import Stored, are_at, copy_rows, hash_rows
from jobledger.infra.proof.log.tree import Tile, read_tiles

READ_LEAF_TILES: Final = sql.load(__package__, "read_leaf_tiles")
BATCH_TILES: Final = 64
"""Tiles read at once."""
NO_KEY: Final = bytes(SALT_SIZE)
"""The key of a tile whose events were all pruned, or that is missing: no leaf can be hashed."""


class Pair(NamedTuple):
    """The leaves of a tile: as the tree has them, and as the events make them now."""

    first: int
    sealed: bytes
    """As many hashes as there should be; zeros where the tree has none."""
    present: bytes
    """Empty where some of the events are not there."""
    whole: bool
    """Whether the tree has the tile."""


class Walk:
    """Iterates over a tree of `size` leaves, in a transaction with one snapshot."""

    def __init__(self, connection: Connection, size: int, pruned: Ranges) -> None:
        self._connection = connection
        self._size = size
        self._pruned = pruned
        self._salted = lru_cache(maxsize=8)(self._read_tile)

    def pairs(self, first_tile: int) -> Iterator[Pair]:
        """Yields the tiles from that number on."""
        for number in range(first_tile, -(-self._size // TILE), BATCH_TILES):
            begin, end = number * TILE + 1, min((number + BATCH_TILES) * TILE, self._size)
            tiles = self._tiles(number)
            rows = copy_rows(self._connection, begin, end)
            for first in range(begin, end + 1, TILE):
                yield self._pair(tiles.get(first // TILE), first, rows)
            for _ in rows:
                pass  # A copy must be read to its end.

    def leaf(self, index: int) -> tuple[bytes, bytes]:
        """Returns the hash in the tree at an index, and the salt of that leaf."""
        hashes, salts = self._salted(index // TILE)
        at = index % TILE * HASH_SIZE
        return hashes[at : at + HASH_SIZE], salts[at : at + SALT_SIZE]

    def _pair(self, tile: Tile | None, first: int, rows: Iterator[bytes]) -> Pair:
        count = min(TILE, self._size - first + 1)
        hashes = b"" if tile is None else tile.hashes[: count * HASH_SIZE]
        sealed = hashes.ljust(count * HASH_SIZE, b"\0")
        salts = leaves.salts(NO_KEY if tile is None or tile.key is None else tile.key)
        last = first + count - 1
        holes = overlapping(self._pruned, first, last)
        gone = sum(min(b, last) - max(a, first) + 1 for a, b in holes)
        batch = list(islice(rows, count - gone))
        if gone:
            present = _with_holes(batch, salts, first, sealed)
        else:
            present = hash_rows(batch, salts) if are_at(batch, first, last) else b""
        return Pair(first, sealed, present, len(hashes) == count * HASH_SIZE)

    def _tiles(self, number: int) -> dict[int, Tile]:
        fields = {"first": number, "last": number + BATCH_TILES - 1}
        rows = self._connection.execute(READ_LEAF_TILES, fields, binary=True)
        return {tile.number: tile for tile in (Tile(*row) for row in rows)}

    def _read_tile(self, number: int) -> tuple[bytes, bytes]:
        for tile in read_tiles(self._connection, [(0, number)]):
            return tile.hashes, leaves.salts(tile.key or NO_KEY)
        return b"", leaves.salts(NO_KEY)


def _with_holes(batch: list[bytes], salts: bytes, first: int, sealed: bytes) -> bytes:
    """Returns the leaves of the existing events; for pruned events, those of the tree."""
    hashes = bytearray(sealed)
    for stored in map(Stored.of, batch):
        at = (stored.position - first) * HASH_SIZE
        if not 0 <= at < len(sealed):
            return b""
        hashes[at : at + HASH_SIZE] = stored.hash(salts[at : at + SALT_SIZE])
    return bytes(hashes)
