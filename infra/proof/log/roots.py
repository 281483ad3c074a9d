"""Roots of a log at any of the sizes asked for, computed on the way over its leaves, without keeping those."""

from __future__ import annotations

from collections.abc import Iterable

from jobledger.domain.proof import merkle
from jobledger.domain.proof.leaves import TILE
from jobledger.domain.proof.merkle import HASH_SIZE
from jobledger.infra.proof.log.tree import TILE_HEIGHT, tile_of


class Roots:
    """Takes the leaves tile by tile; remembers a hash for each full tile, and the ends that are asked for."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self._ends = {size // TILE for size in sizes if size % TILE}
        self._full: list[bytes] = []
        self._kept: dict[int, bytes] = {}

    @property
    def tiles(self) -> list[bytes]:
        """The hash over each full tile, so far."""
        return self._full

    def copy(self) -> Roots:
        """Another that took in the same so far."""
        other = Roots(())
        other._ends, other._full, other._kept = self._ends, [*self._full], dict(self._kept)
        return other

    def add(self, hashes: bytes) -> None:
        """The next tile's leaves; all tiles are full but the last."""
        number = len(self._full)
        if number in self._ends:
            self._kept[number] = hashes
        if len(hashes) == TILE * HASH_SIZE:
            self._full.append(merkle.root_of(hashes))

    def skip(self, full: Iterable[bytes]) -> None:
        """The hashes over tiles that need not be looked into."""
        self._full.extend(full)

    def at(self, size: int) -> bytes:
        """The root over the first `size` leaves, of the sizes that were asked for."""
        return merkle.root(size, self._node)

    def _node(self, level: int, number: int) -> bytes:
        if level >= TILE_HEIGHT:
            first, width = number << level - TILE_HEIGHT, 1 << level - TILE_HEIGHT
            return merkle.root_of(b"".join(self._full[first : first + width]))
        _, tile = tile_of(level, number)
        first, width = (number << level) % TILE * HASH_SIZE, HASH_SIZE << level
        return merkle.root_of(self._kept[tile][first : first + width])
