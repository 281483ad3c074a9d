"""Verifies the log: hashes every event again, and compares with the tree and with checkpoints.

A database proves little about itself: its owner can change all of it consistently. So the tree of
its events is compared with checkpoints, which were signed with a key that is not in the database,
and are stored where its owner cannot change them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from jobledger.domain.proof.leaves import TILE
from jobledger.domain.proof.merkle import HASH_SIZE, root_of
from jobledger.infra.errors import BrokenLedgerError, ProofError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.proof.audit.damage import Damage, Ranges
from jobledger.infra.proof.audit.leaf_walk import Walk
from jobledger.infra.proof.log.leaves import read_rows
from jobledger.infra.proof.log.roots import Roots
from jobledger.infra.proof.log.tree import FULL, NO_ROW, Tile
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.upkeep.findings import Finding
from jobledger.infra.upkeep.verify import Progress

READ_EXTENT: Final = sql.load(__package__, "read_extent")
READ_UPPER_TILES: Final = sql.load(__package__, "read_upper_tiles")
READ_BEYOND: Final = sql.load(__package__, "read_beyond")
READ_RECORDED: Final = sql.load(__package__, "read_recorded")
OUT_OF_STEP: Final = "projection out of step"
TILES: Final = "tiles"


class KnownCheckpoint(NamedTuple):
    """A checkpoint with a verified signature, where it is from, and when it was signed or first seen (UTC)."""

    checkpoint: Checkpoint
    source: str
    time: datetime | None = None
    signed_time: datetime | None = None
    """The time of signing that the checkpoint gives."""


class Verdict(NamedTuple):
    """The number of events in the tree, the root (empty for a damaged tree), and the findings."""

    size: int
    root: bytes
    unsealed: int
    """Events that are not in the tree yet."""
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings


class Extent(NamedTuple):
    """The sizes of the tree and of the head, and the position of the last event."""

    origin: str
    size: int
    head: int
    last: int


def verify_log(
    connection: Connection,
    checkpoints: Sequence[KnownCheckpoint] = (),
    since: KnownCheckpoint | None = None,
    pruned: Ranges = (),
    progress: Progress = lambda done, size: None,
) -> Verdict:
    """Compares all events with the tree, and the tree with checkpoints.

    Args:
        connection: A connection in a transaction with one snapshot.
        checkpoints: The checkpoints.
        since: A trusted checkpoint: only the events after it are read, and the tree must extend it.
        pruned: Ranges of positions that were pruned.
        progress: Called with the number of events done and their total.

    Returns:
        The findings, each with the kind of damage.

    Raises:
        ProofError: A checkpoint is of another log.
        BrokenLedgerError: The log has no row.
    """
    with translated():
        row = connection.execute(READ_EXTENT).fetchone()
        if row is None:
            raise BrokenLedgerError("the log", 0, NO_ROW)
        all_known = [*checkpoints, *([since] if since else [])]
        verification = _Verification(connection, Extent(*row), all_known, pruned)
        return verification.run(0 if since is None else since.checkpoint.size, progress)


class _Verification:
    def __init__(
        self,
        connection: Connection,
        extent: Extent,
        checkpoints: Sequence[KnownCheckpoint],
        pruned: Ranges,
    ) -> None:
        self._connection = connection
        self._extent = extent
        self._checkpoints = sorted(checkpoints, key=lambda each: each.checkpoint.size)
        self._pruned = pruned
        self._walk = Walk(connection, extent.size, pruned)
        sizes = [extent.size, *(each.checkpoint.size for each in checkpoints)]
        self._tree_roots = Roots(sizes)
        self._event_roots: Roots | None = None
        """The root over the events as they are now, if they differ from the tree."""
        self._findings: list[Finding] = []
        self._is_incomplete = False
        """Whether leaves are missing in the tree, so that it has no root."""

    def run(self, trusted: int, progress: Progress) -> Verdict:
        extent = self._extent
        for each in self._checkpoints:
            if each.checkpoint.origin != extent.origin:
                why = f"{each.source} is of the log {each.checkpoint.origin!r}, and this log is {extent.origin!r}"
                raise ProofError("checkpoint", why)
        upper = self._upper_tiles()
        first = min(trusted, extent.size) // TILE
        before = b"".join(tile for (level, _), tile in upper.items() if level == 1)
        hashes = [before[at : at + HASH_SIZE] for at in range(0, len(before), HASH_SIZE)]
        self._tree_roots.skip(hashes[:first])
        self._compare(first, progress)
        if not self._findings:
            self._check_checkpoints()
            self._check_upper_tiles(upper)
            self._check_beyond()
        self._check_tail()
        root = b"" if self._is_incomplete else self._tree_roots.at(extent.size)
        return Verdict(extent.size, root, max(0, extent.last - extent.size), self._findings)

    def _compare(self, first_tile: int, progress: Progress) -> None:
        """Compares events and leaves."""
        damaged, all_present = 0, True
        for pair in self._walk.pairs(first_tile):
            if not pair.whole:
                detail = "the tree has no hashes for the events from here on"
                self._find(OUT_OF_STEP, pair.first, TILES, detail)
                self._is_incomplete = True
                return
            if pair.present != pair.expected:
                damaged, all_present = damaged or pair.first, all_present and bool(pair.present)
                self._event_roots = self._event_roots or self._tree_roots.copy()
            if self._event_roots is not None:
                self._event_roots.add(pair.present or pair.expected, pair.root)
            self._tree_roots.add(pair.expected, pair.root)
            progress(pair.first, self._extent.size)
        progress(self._extent.size, self._extent.size)
        if damaged and all_present and self._are_events_as_signed():
            detail = "the tree has other hashes than the events, and the events are those that were signed"
            self._find(OUT_OF_STEP, damaged, TILES, detail)
        elif damaged:
            rows = read_rows(self._connection, damaged, max(self._extent.last, self._extent.size))
            damage = Damage(rows, self._walk.leaf, self._extent.size, damaged, self._pruned)
            self._findings += damage.find()

    def _are_events_as_signed(self) -> bool:
        """Whether the last checkpoint is of the present events, and not of the tree's hashes."""
        known = [
            e.checkpoint for e in self._checkpoints if 0 < e.checkpoint.size <= self._extent.size
        ]
        if not known or self._event_roots is None:
            return False
        last = known[-1]
        return self._event_roots.at(last.size) == last.root != self._tree_roots.at(last.size)

    def _check_checkpoints(self) -> None:
        """Checks that the tree extends each checkpoint."""
        extended = 0
        for each in self._checkpoints:
            size, known = each.checkpoint.size, self._extent.size
            if size <= known and each.checkpoint.root == self._tree_roots.at(size):
                extended = size
                continue
            later = self._written_after(each)
            if size > known or later:
                first = later or known + 1
                detail = f"{each.source} covers {size} events, and the ledger has other events now"
                self._find("rolled back", first, "", detail)
            else:
                detail = f"positions {extended + 1} to {size} have other events than {each.source} covers"
                self._find("forked", extended + 1, "", detail)
            return

    def _written_after(self, known: KnownCheckpoint) -> int | None:
        """Returns the first event within a checkpoint's size that was recorded after it was signed.

        Then the log was rolled back and continued; an attacker who rewrites it would keep the
        times.
        """
        if known.time is None:
            return None
        row = self._connection.execute(READ_RECORDED, {"time": known.time}).fetchone()
        return int(row[0]) if row is not None and row[0] <= known.checkpoint.size else None

    def _upper_tiles(self) -> dict[tuple[int, int], bytes]:
        rows = self._connection.execute(READ_UPPER_TILES, binary=True)
        return {(tile.level, tile.number): tile.hashes for tile in (Tile(*row) for row in rows)}

    def _check_upper_tiles(self, upper: dict[tuple[int, int], bytes]) -> None:
        """Checks that the tree's inner hashes are those of its leaves."""
        made: dict[tuple[int, int], bytes] = {}
        level, hashes = 1, self._tree_roots.tiles
        while hashes:
            tiles = [b"".join(hashes[at : at + TILE]) for at in range(0, len(hashes), TILE)]
            made |= {(level, number): tile for number, tile in enumerate(tiles)}
            level, hashes = level + 1, [root_of(tile) for tile in tiles if len(tile) == FULL]
        for place in sorted(made.keys() | upper.keys()):
            if made.get(place) != upper.get(place):
                level, number = place
                detail = f"the hashes of level {level} are not those of the leaves below"
                self._find(OUT_OF_STEP, (number * TILE << 8 * level) + 1, TILES, detail)
                return

    def _check_beyond(self) -> None:
        """Checks that there are no hashes after the last leaf's, which later events would inherit."""
        for (number,) in self._connection.execute(READ_BEYOND):
            detail = f"tile {number} has hashes after those of the {self._extent.size} events in the tree"
            self._find("extra", self._extent.size + 1, TILES, detail)

    def _check_tail(self) -> None:
        """Checks that events end where the head says, also those that are not in the tree yet."""
        _, size, head, last = self._extent
        if size <= last < head:
            detail = f"the ledger counted {head} events, and the last {head - last} are missing"
            self._find("cut tail", last + 1, "", detail)
        elif last > head:
            detail = f"the ledger counted {head} events, and there are more after them"
            self._find("inserted", head + 1, "", detail)

    def _find(self, kind: str, position: int, name: str, detail: str) -> None:
        self._findings.append(Finding(kind, position, name, detail))
