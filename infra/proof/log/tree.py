"""The stored Merkle tree of the log: tiles of 256 hashes (C2SP tlog-tiles), read for proofs.

Tile n of level 0 has the hashes of the leaves from 256 n on; each hash in a tile of the next level
is that of a full tile below. The levels in between are computed when they are needed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any, Final, NamedTuple, TypeVar

from jobledger.domain.proof import merkle
from jobledger.domain.proof.leaves import TILE
from jobledger.domain.proof.merkle import HASH_SIZE, Node
from jobledger.infra.errors import BrokenLedgerError, ForkedError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated

READ_LOG: Final = sql.load(__package__, "read_log")
READ_TILES: Final = sql.load(__package__, "read_tiles")
TILE_HEIGHT: Final = 8
FULL: Final = TILE * HASH_SIZE
KEPT: Final = 256
"""Full tiles of leaves that are cached with all their hashes: 16 KiB each. They never change."""
KEPT_ABOVE: Final = 1_024
"""Full tiles of all levels above: those of 67 million leaves."""

NO_ROW: Final = "its row, or the ledger's head, is not there"

TileIndex = tuple[int, int]
"""Level and number of a tile."""
T = TypeVar("T")


class LogState(NamedTuple):
    """The log's name, the number of events in its tree, and the number of all events."""

    origin: str
    size: int
    events: int


class Tile(NamedTuple):
    """A stored tile; at level 0, `key` is the key of its leaves' salts."""

    level: int
    number: int
    hashes: bytes
    key: bytes | None

    @property
    def width(self) -> int:
        """The number of its hashes."""
        return len(self.hashes) // HASH_SIZE


class Layers(NamedTuple):
    """A tile and the levels between it and the next one: nine for a full tile."""

    all: list[bytes]

    @classmethod
    def of(cls, hashes: bytes) -> Layers:
        """Hashes a tile's hashes up to its root, layer by layer."""
        layers = [hashes]
        while len(layers[-1]) > HASH_SIZE:
            layers.append(merkle.hash_pairs(layers[-1]))
        return cls(layers)

    def hash(self, height: int, number: int) -> bytes:
        """Returns the hash over `2**height` hashes of the tile; empty if there are fewer."""
        at = number * HASH_SIZE
        return self.all[height][at : at + HASH_SIZE] if height < len(self.all) else b""


class Tree:
    """Reads one ledger's tree; any number of threads may use it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[TileIndex, Layers] = OrderedDict()
        self._above: OrderedDict[TileIndex, Layers] = OrderedDict()
        self._edges: dict[int, Layers] = {}
        """The last tile of each level that was read and not full."""
        self._size = 0
        """The size of the log when it was last read."""

    def log_state(self, connection: Connection) -> LogState:
        """Returns the log's present state."""
        with translated():
            row = connection.execute(READ_LOG).fetchone()
        if row is None:
            raise BrokenLedgerError("the log", 0, NO_ROW)
        log = LogState(*row)
        with self._lock:
            # A backup was restored: a full tile may grow again with other hashes.
            if log.size < self._size:
                self._kept.clear()
                self._above.clear()
            self._size = log.size
        return log

    def root(self, connection: Connection, size: int) -> bytes:
        """Returns the root over the first `size` leaves."""
        return self._with_nodes(connection, lambda node: merkle.root(size, node))

    def prove_inclusion(self, connection: Connection, index: int, size: int) -> list[bytes]:
        """See merkle.prove_inclusion."""
        return self._with_nodes(connection, lambda node: merkle.prove_inclusion(index, size, node))

    def prove_consistency(self, connection: Connection, old: int, size: int) -> list[bytes]:
        """See merkle.prove_consistency."""
        return self._with_nodes(connection, lambda node: merkle.prove_consistency(old, size, node))

    def _with_nodes(self, connection: Connection, prove: Callable[[Node], T]) -> T:
        """Makes a proof twice: to find the tiles that it needs, and with these tiles.

        Args:
            connection: A connection to the ledger's schema.
            prove: Makes the proof from a function that returns the hash of a node.

        Returns:
            The proof.

        Raises:
            ForkedError: A tile is missing, or less full than before.
        """
        asked: set[TileIndex] = set()

        def note(level: int, number: int) -> bytes:
            asked.add(tile_of(level, number))
            return b""

        prove(note)
        tiles = self._find(connection, asked)

        def node(level: int, number: int) -> bytes:
            place = tile_of(level, number)
            height = level % TILE_HEIGHT
            layers = tiles.get(place)
            at = number - (place[1] << TILE_HEIGHT - height)
            found = b"" if layers is None else layers.hash(height, at)
            if len(found) != HASH_SIZE:
                why = f"tile {place[1]} of level {place[0]} is damaged"
                raise ForkedError("forked", number << level, why)
            return found

        return prove(node)

    def _find(self, connection: Connection, places: set[TileIndex]) -> dict[TileIndex, Layers]:
        found = {}
        with self._lock:
            for place in places:
                kept = self._cache_of(place)
                if place in kept:
                    found[place] = kept[place]
                    kept.move_to_end(place)
        missing = places - found.keys()
        for tile in read_tiles(connection, missing):
            place = tile.level, tile.number
            found[place] = self._keep(place, tile.hashes)
        return found

    def _keep(self, place: TileIndex, hashes: bytes) -> Layers:
        """Hashes a tile through, unless it is at its level's end and did not grow."""
        level, _ = place
        layers = self._edges.get(level)
        if layers is None or layers.all[0] != hashes:
            layers = Layers.of(hashes)
        if len(hashes) != FULL:
            self._edges[level] = layers
            return layers
        with self._lock:
            kept = self._cache_of(place)
            kept[place] = layers
            while len(kept) > (KEPT_ABOVE if level else KEPT):
                kept.popitem(last=False)
        return layers

    def _cache_of(self, place: TileIndex) -> OrderedDict[TileIndex, Layers]:
        level, _ = place
        return self._above if level else self._kept


def tile_of(level: int, number: int) -> TileIndex:
    """Returns the index of the tile with the hash over `2**level` leaves."""
    return level // TILE_HEIGHT, number >> TILE_HEIGHT - level % TILE_HEIGHT


def read_tiles(connection: Connection, places: Iterable[TileIndex]) -> list[Tile]:
    """Returns the existing tiles of these indexes."""
    wanted = sorted(places)
    if not wanted:
        return []
    parameters: dict[str, Any] = {
        "levels": [level for level, _ in wanted],
        "numbers": [number for _, number in wanted],
    }
    with translated():
        rows = connection.execute(READ_TILES, parameters, binary=True)
        return [Tile(*row) for row in rows]
