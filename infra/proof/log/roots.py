"""Computes the roots of a log at several sizes while its leaves are read once."""

from __future__ import annotations

from collections.abc import Iterable

from jobledger.domain.proof import merkle
from jobledger.domain.proof.leaves import TILE
from jobledger.domain.proof.merkle import HASH_SIZE
from jobledger.infra.proof.log.tree import TILE_HEIGHT, tile_of


class Roots:
    """Takes leaves tile by tile; keeps a hash for each full tile, and the requested ends."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self._ends = {size // TILE for size in sizes if size % TILE}
        self._full: list[bytes] = []
        self._kept: dict[int, bytes] = {}

    @property
    def tiles(self) -> list[bytes]:
        """The hash of each full tile so far."""
        return self._full

    def copy(self) -> Roots:
        """Returns a copy of the present state."""
        other = Roots(())
        other._ends, other._full, other._kept = self._ends, [*self._full], dict(self._kept)
        return other

    def add(self, hashes: bytes, root: bytes | None = None) -> None:
        """Adds the next tile's leaves, with the root over them if it is known; only the last tile may not be full."""
        number = len(self._full)
        if number in self._ends:
            self._kept[number] = hashes
        if len(hashes) == TILE * HASH_SIZE:
            self._full.append(root or merkle.root_of(hashes))

    def skip(self, full: Iterable[bytes]) -> None:
        """Adds the hashes of full tiles instead of their leaves."""
        self._full.extend(full)

    def at(self, size: int) -> bytes:
        """Returns the root over the first `size` leaves, for a requested size."""
        return merkle.root(size, self._node)

    def _node(self, level: int, number: int) -> bytes:
        if level >= TILE_HEIGHT:
            first, width = number << level - TILE_HEIGHT, 1 << level - TILE_HEIGHT
            return merkle.root_of(b"".join(self._full[first : first + width]))
        _, tile = tile_of(level, number)
        first, width = (number << level) % TILE * HASH_SIZE, HASH_SIZE << level
        return merkle.root_of(self._kept[tile][first : first + width])
