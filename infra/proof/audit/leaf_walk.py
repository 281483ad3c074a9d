"""Iterates over the leaves of the log's tree and their events, tile by tile."""

from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from jobledger.domain.proof import leaves
from jobledger.domain.proof.hashing import hash_rows
from jobledger.domain.proof.leaves import SALT_SIZE, TILE
from jobledger.domain.proof.merkle import HASH_SIZE
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.audit.damage import Ranges, overlapping
from jobledger.infra.proof.audit.hash_process import DIFFERENT
from jobledger.infra.proof.audit.hash_processes import HashProcesses, Task, hash_processes
from jobledger.infra.proof.log.leaves import RowCopy, Stored, are_at
from jobledger.infra.proof.log.tree import Tile, read_tiles

READ_LEAF_TILES: Final = sql.load(__package__, "read_leaf_tiles")
BATCH_TILES: Final = 64
"""Tiles read at once."""
MAX_WAITING: Final = 256
"""Tiles that wait for the answer to an earlier one."""
NO_KEY: Final = bytes(SALT_SIZE)
"""The key of a tile whose events were all pruned, or that is missing: no leaf can be hashed."""


class Pair(NamedTuple):
    """The leaves of a tile: as the tree has them, and as the events make them now."""

    first: int
    expected: bytes
    """The hashes of the tree; zeros where it has none."""
    present: bytes
    """The hashes of the events; empty if some events are missing."""
    whole: bool
    """Whether the tree has the tile."""
    root: bytes | None = None
    """The root over the leaves, if it was computed."""


class Delegated(NamedTuple):
    """A tile that another process hashes."""

    task: Task
    first: int
    expected: bytes
    salts_key: bytes

    def pair(self) -> Pair:
        """Waits for the answer; a tile that is not as in the tree is hashed again here."""
        root = self.task.wait()
        if root != DIFFERENT:
            return Pair(self.first, self.expected, self.expected, True, root)
        present = hash_rows(self.task.rows(), leaves.salts(self.salts_key))
        return Pair(self.first, self.expected, present, True)


class Walk:
    """Iterates over a tree of `size` leaves, in a transaction with one snapshot."""

    def __init__(self, connection: Connection, size: int, pruned: Ranges) -> None:
        self._connection = connection
        self._size = size
        self._pruned = pruned
        self._salted = lru_cache(maxsize=8)(self._read_tile)

    def pairs(self, first_tile: int) -> Iterator[Pair]:
        """Yields the tiles from that number on."""
        with hash_processes(self._size - first_tile * TILE) as processes:
            waiting = deque[Pair | Delegated]()
            for tile in self._hashed(first_tile, processes):
                waiting.append(tile)
                while waiting and (len(waiting) > MAX_WAITING or _is_done(waiting[0])):
                    yield _pair_of(waiting.popleft())
            yield from map(_pair_of, waiting)

    def _hashed(self, first_tile: int, processes: HashProcesses) -> Iterator[Pair | Delegated]:
        """Yields the tiles, hashed here or given to a process."""
        for number in range(first_tile, -(-self._size // TILE), BATCH_TILES):
            begin, end = number * TILE + 1, min((number + BATCH_TILES) * TILE, self._size)
            tiles = self._tiles(number)
            with RowCopy(self._connection, begin, end) as rows:
                for first in range(begin, end + 1, TILE):
                    yield self._hash(tiles.get(first // TILE), first, rows, processes)

    def leaf(self, index: int) -> tuple[bytes, bytes]:
        """Returns the hash in the tree at an index, and the salt of that leaf."""
        hashes, salts = self._salted(index // TILE)
        at = index % TILE * HASH_SIZE
        return hashes[at : at + HASH_SIZE], salts[at : at + SALT_SIZE]

    def _hash(
        self, tile: Tile | None, first: int, copy: RowCopy, processes: HashProcesses
    ) -> Pair | Delegated:
        count = min(TILE, self._size - first + 1)
        hashes = b"" if tile is None else tile.hashes[: count * HASH_SIZE]
        expected = hashes.ljust(count * HASH_SIZE, b"\0")
        key = NO_KEY if tile is None or tile.key is None else tile.key
        last = first + count - 1
        pruned = overlapping(self._pruned, first, last)
        gone = sum(min(b, last) - max(a, first) + 1 for a, b in pruned)
        rows = copy.take(count - gone)
        is_whole, are_complete = len(hashes) == count * HASH_SIZE, are_at(rows, first, last)
        if (count == TILE and is_whole and are_complete) and (
            task := processes.give(key, expected, rows)
        ) is not None:
            return Delegated(task, first, expected, key)
        salts = leaves.salts(key)
        if gone:
            present = _with_pruned(rows, salts, first, expected)
        else:
            present = hash_rows(rows, salts) if are_complete else b""
        return Pair(first, expected, present, is_whole)

    def _tiles(self, number: int) -> dict[int, Tile]:
        fields = {"first": number, "last": number + BATCH_TILES - 1}
        rows = self._connection.execute(READ_LEAF_TILES, fields, binary=True)
        return {tile.number: tile for tile in (Tile(*row) for row in rows)}

    def _read_tile(self, number: int) -> tuple[bytes, bytes]:
        for tile in read_tiles(self._connection, [(0, number)]):
            return tile.hashes, leaves.salts(tile.key or NO_KEY)
        return b"", leaves.salts(NO_KEY)


def _with_pruned(batch: list[bytes], salts: bytes, first: int, expected: bytes) -> bytes:
    """Returns the leaves of the existing events; for pruned events, those of the tree."""
    hashes = bytearray(expected)
    for stored in map(Stored.of, batch):
        at = (stored.position - first) * HASH_SIZE
        if not 0 <= at < len(expected):
            return b""
        hashes[at : at + HASH_SIZE] = stored.hash(salts[at : at + SALT_SIZE])
    return bytes(hashes)


def _is_done(tile: Pair | Delegated) -> bool:
    return isinstance(tile, Pair) or tile.task.root is not None


def _pair_of(tile: Pair | Delegated) -> Pair:
    return tile if isinstance(tile, Pair) else tile.pair()
