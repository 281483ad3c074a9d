"""The log's Merkle tree as it is kept: tiles of 256 hashes (C2SP tlog-tiles), read for proofs.

The nth tile of level 0 holds the hashes of the leaves from 256 n on; each hash in a tile of the
level above is that over a full tile below. What lies between is hashed when it is asked for.
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
"""Full tiles that are remembered, hashed through: 16 KiB each. They never change."""

NO_ROW: Final = "its row, or the ledger's head, is not there"

TileIndex = tuple[int, int]
"""Level and number of a tile."""
T = TypeVar("T")


class LogState(NamedTuple):
    """How the log stands: its name, how many events its tree holds, and how many there are."""

    origin: str
    size: int
    events: int


class Tile(NamedTuple):
    """A tile as it is stored; `key` is that of its leaves' salts, at level 0."""

    level: int
    number: int
    hashes: bytes
    key: bytes | None

    @property
    def width(self) -> int:
        """How many hashes it has."""
        return len(self.hashes) // HASH_SIZE


class Layers(NamedTuple):
    """A tile and what is between it and the next level: nine of them in a full one."""

    all: list[bytes]

    @classmethod
    def of(cls, hashes: bytes) -> Layers:
        layers = [hashes]
        while len(layers[-1]) > HASH_SIZE:
            layers.append(merkle.hash_pairs(layers[-1]))
        return cls(layers)

    def hash(self, height: int, number: int) -> bytes:
        """The one over `2**height` hashes of the tile; empty where there are not so many."""
        at = number * HASH_SIZE
        return self.all[height][at : at + HASH_SIZE] if height < len(self.all) else b""


class Tree:
    """Reads one ledger's tree through any connection; any number of threads may."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[TileIndex, Layers] = OrderedDict()
        self._size = 0
        """How large the log stood last."""

    def log_state(self, connection: Connection) -> LogState:
        """How the log stands now."""
        with translated():
            row = connection.execute(READ_LOG).fetchone()
        if row is None:
            raise BrokenLedgerError("the log", 0, NO_ROW)
        log = LogState(*row)
        with self._lock:
            if log.size < self._size:  # A backup was restored: what was full may grow otherwise.
                self._kept.clear()
            self._size = log.size
        return log

    def root(self, connection: Connection, size: int) -> bytes:
        """The root over the first `size` leaves."""
        return self._with_nodes(connection, lambda node: merkle.root(size, node))

    def prove_inclusion(self, connection: Connection, index: int, size: int) -> list[bytes]:
        """See merkle.prove_inclusion."""
        return self._with_nodes(connection, lambda node: merkle.prove_inclusion(index, size, node))

    def prove_consistency(self, connection: Connection, old: int, size: int) -> list[bytes]:
        """See merkle.prove_consistency."""
        return self._with_nodes(connection, lambda node: merkle.prove_consistency(old, size, node))

    def _with_nodes(self, connection: Connection, prove: Callable[[Node], T]) -> T:
        """Goes through the proof twice: to see which tiles it takes, and with them.

        Raises ForkedError where one of them is not there, or not as full as it was.
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
        with self._lock:
            found = {place: self._kept[place] for place in places if place in self._kept}
            for place in found:
                self._kept.move_to_end(place)
        missing = places - found.keys()
        for tile in read_tiles(connection, missing):
            layers = found[tile.level, tile.number] = Layers.of(tile.hashes)
            if len(tile.hashes) == FULL:
                self._keep((tile.level, tile.number), layers)
        return found

    def _keep(self, place: TileIndex, layers: Layers) -> None:
        with self._lock:
            self._kept[place] = layers
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)


def tile_of(level: int, number: int) -> TileIndex:
    """The tile in which the hash over `2**level` leaves is, or is hashed from."""
    return level // TILE_HEIGHT, number >> TILE_HEIGHT - level % TILE_HEIGHT


def read_tiles(connection: Connection, places: Iterable[TileIndex]) -> list[Tile]:
    """Those of the tiles that are there."""
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
