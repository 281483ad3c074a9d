"""Grows the tree over new events: leaves into tiles, full tiles into the level above."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from jobledger.domain.proof import leaves, merkle
from jobledger.domain.proof.hashing import hash_rows
from jobledger.domain.proof.leaves import SALT_SIZE, TILE
from jobledger.domain.proof.merkle import HASH_SIZE
from jobledger.infra.errors import ForkedError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.proof.log.leaves import RowCopy, are_at, position_of
from jobledger.infra.proof.log.tree import FULL, TileIndex, read_tiles

GROW_LOG: Final = sql.load(__package__, "grow_log")
BATCH_EVENTS: Final = 16 * 1024
"""The most events that one transaction adds to the tree."""


class Edge(NamedTuple):
    """A tile at the right edge of the tree, which grows."""

    number: int
    hashes: bytearray
    key: bytes | None


class Growth:
    """The right edge of a tree of some size, and the tiles that change with new leaves."""

    def __init__(self, connection: Connection, size: int) -> None:
        self.size = size
        self.changed: dict[TileIndex, Edge] = {}
        self._edges: dict[int, Edge] = {}
        places = {place for place in _edge(size) if place[1] * TILE << 8 * place[0] < size}
        for tile in read_tiles(connection, places):
            self._edges[tile.level] = Edge(tile.number, bytearray(tile.hashes), tile.key)
        for level, number in places:
            edge = self._edges.get(level)
            # Another process may be growing the tree at the same time.
            if (size >> 8 * level) % TILE * HASH_SIZE > (len(edge.hashes) if edge else 0):
                raise ForkedError("forked", size, f"tile {number} of level {level} is damaged")

    def room(self) -> int:
        """How many leaves fit into the present tile."""
        return TILE - self.size % TILE

    def salts(self) -> bytes:
        """The salts of the leaves that fit."""
        key = self._edge(0, self.size // TILE).key
        assert key is not None
        return leaves.salts(key)[self.size % TILE * SALT_SIZE :]

    def add(self, hashes: bytes) -> None:
        """Adds leaf hashes, at most as many as fit."""
        level, number, added = 0, self.size, hashes
        while True:
            edge = self._edge(level, number // TILE)
            edge.hashes.extend(added)
            self.changed[level, edge.number] = edge
            if len(edge.hashes) < FULL:
                break
            del self._edges[level]
            level, number, added = level + 1, edge.number, merkle.root_of(bytes(edge.hashes))
        self.size += len(hashes) // HASH_SIZE

    def write(self, connection: Connection, old_size: int) -> bool:
        """Stores the tiles; returns false if another process grew the tree meanwhile."""
        tiles = sorted(self.changed.items())
        parameters: dict[str, Any] = {
            "old_size": old_size,
            "new_size": self.size,
            "levels": [level for (level, _), _ in tiles],
            "numbers": [number for (_, number), _ in tiles],
            "hashes": [bytes(edge.hashes) for _, edge in tiles],
            "keys": [edge.key for _, edge in tiles],
        }
        row = connection.execute(GROW_LOG, parameters, binary=True).fetchone()
        return bool(row and row[0])

    def _edge(self, level: int, number: int) -> Edge:
        edge = self._edges.get(level)
        if edge is None:
            key = secrets.token_bytes(SALT_SIZE) if level == 0 else None
            edge = self._edges[level] = Edge(number, bytearray(), key)
        return edge


def grow(
    connection: Connection, size: int, to: int, rest: Callable[[], object] | None = None
) -> int:
    """Grows the tree over the next events. It stops if another process grows the tree.

    Args:
        connection: A connection to the ledger's schema.
        size: The size of the tree.
        to: The last position to add.
        rest: Called now and then.

    Returns:
        The new size of the tree.

    Raises:
        ForkedError: Events are missing.
    """
    last = min(to, size + BATCH_EVENTS)
    with translated():
        growth = Growth(connection, size)
        with RowCopy(connection, size + 1, last) as rows:
            while batch := rows.take(growth.room()):
                if not are_at(batch, growth.size + 1, growth.size + len(batch)):
                    break
                growth.add(hash_rows(batch, growth.salts()))
                if rest is not None:
                    rest()
        if growth.size < last:
            missing = _first_gap(batch, growth.size + 1)
            why = f"there is no event at position {missing}, and the ledger has {to}"
            raise ForkedError("rolled back", growth.size, why)
        return growth.size if growth.write(connection, size) else size


def _first_gap(rows: Sequence[bytes], first: int) -> int:
    """Returns the first position from `first` on without an event."""
    gaps = (at for at, row in enumerate(rows, first) if position_of(row) != at)
    return next(gaps, first + len(rows))


def _edge(size: int) -> list[TileIndex]:
    """Returns the indexes of the tiles that the next leaf and its full tiles go into."""
    return [(level, size >> 8 * (level + 1)) for level in range(8)]
