"""Exports the log as static files that any web server can publish: C2SP tlog-tiles.

    checkpoint                      the signed note
    tile/<level>/<number>[.p/<width>]
    tile/entries/<number>[.p/<width>]

Files never change, except for the checkpoint, which is written last: a reader of the checkpoint
finds all files that it covers. An entry whose event was pruned, or is longer than the 65,535 bytes
that a bundle allows, is empty in its bundle; the hash of its leaf stays in the tile.
"""

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from jobledger.domain.proof import leaves, merkle
from jobledger.domain.proof.leaves import TILE
from jobledger.domain.proof.merkle import HASH_SIZE
from jobledger.infra.errors import ForkedError, ProofError
from jobledger.infra.eventstore.feed import READ_PRUNED
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.proof.log.leaves import Stored, copy_rows
from jobledger.infra.proof.log.tree import TILE_HEIGHT, Tile, Tree, read_tiles
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.keys import read_text
from jobledger.infra.proof.signing.notes import Note
from jobledger.infra.proof.signing.signer import check_growth

CHECKPOINT: Final = "checkpoint"
MAX_ENTRY: Final = 0xFFFF
"""The greatest length of an entry in a bundle, in bytes."""
_PATH: Final = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII
)
BATCH_TILES: Final = 64
"""Tiles that are read at once."""


class Exported(NamedTuple):
    """The files that one export added."""

    tiles: int
    bundles: int
    missing: int
    """Missing bundles: an event is missing that no pruning covers."""
    empty: int = 0
    """Entries that have no bytes in their bundle: pruned, or longer than a bundle takes."""


def export_tiles(connection: Connection, tree: Tree, folder: Path, note: Note) -> Exported:
    """Writes the tiles that a folder lacks for a checkpoint, and then the checkpoint.

    Args:
        connection: A connection to the ledger's schema.
        tree: The Merkle tree.
        folder: The folder.
        note: The checkpoint; its signatures are not verified.

    Returns:
        How many files were written.

    Raises:
        ForkedError: The log, or an event, differs from the note or the folder's last checkpoint.
        ProofError: The note or the folder is of another log, or a file cannot be written.
    """
    now, before = Checkpoint.parse(note.text), _published(folder)
    log = tree.log_state(connection)
    for checkpoint, what in ((now, "the note"), (before, str(folder))):
        if checkpoint is not None and checkpoint.origin != log.origin:
            why = f"{what} is of {checkpoint.origin[:80]!r}, and the log is {log.origin!r}"
            raise ProofError("checkpoint", why)
    root = tree.root(connection, log.size)
    check_growth(connection, tree, now, Checkpoint(now.origin, log.size, root))
    if before is not None:
        check_growth(connection, tree, before, now)
    old_size = 0 if before is None else before.size
    try:
        exported = _export(connection, folder, old_size, now.size)
        # Otherwise a crash could keep the checkpoint and lose the tiles that it covers.
        os.sync()
        _write(folder / CHECKPOINT, str(note).encode())
    except OSError as error:
        why = f"{error.filename or folder} cannot be written: {error.strerror or error}"
        raise ProofError("file", why) from None
    return exported


def read_file(connection: Connection, path: str) -> bytes | None:
    """Returns the content of a file under `tile/`; None if there is no such file."""
    asked = _PATH.fullmatch(path)
    # Groups of the number may have leading zeros, and only one path names a tile.
    if asked is None or asked[2].startswith("x000/"):
        return None
    level, groups, width = asked.groups()
    number, wide = int(groups.replace("x", "").replace("/", "")), int(width or TILE)
    places = [(0 if level == "entries" else int(level), number)]
    if number >= 1 << 40 or places[0][0] >= TILE_HEIGHT:
        return None
    tile = next(iter(read_tiles(connection, places)), None)
    if tile is None or tile.width < wide:
        return None
    tile = tile._replace(hashes=tile.hashes[: wide * HASH_SIZE])
    if level != "entries":
        return tile.hashes
    bundle = _bundle(connection, tile)
    return None if bundle is None else bundle.content


def tile_path(level: int | str, number: int, width: int = TILE) -> str:
    """Returns the path of a tile in the folder; the level `entries` is a bundle of entries."""
    groups = f"{number:,}".split(",")
    groups[0] = groups[0].zfill(3)
    path = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return f"tile/{level}/{path}" + ("" if width == TILE else f".p/{width}")


def _published(folder: Path) -> Checkpoint | None:
    """Returns the checkpoint of the folder's last export; None for a new folder."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    return Checkpoint.parse(Note.parse(read_text(path, CHECKPOINT)).text)


def _export(connection: Connection, folder: Path, old_size: int, size: int) -> Exported:
    tiles = bundles = missing = empty = 0
    for tile in _added(connection, old_size, size):
        _write(folder / tile_path(tile.level, tile.number, tile.width), tile.hashes)
        tiles += 1
        if tile.level:
            continue
        bundle = _bundle(connection, tile)
        if bundle is None:
            missing += 1
        else:
            _write(folder / tile_path("entries", tile.number, tile.width), bundle.content)
            bundles += 1
            empty += bundle.empty
    return Exported(tiles, bundles, missing, empty)


def _added(connection: Connection, old_size: int, size: int) -> Iterator[Tile]:
    """Yields the tiles of a tree of `size` leaves that the smaller tree did not have.

    They are as wide as in the tree of that size; the stored tiles may have grown since.
    """
    level = 0
    while now := size >> TILE_HEIGHT * level:
        before = old_size >> TILE_HEIGHT * level
        numbers = range(before // TILE, -(-now // TILE)) if before < now else range(0)
        for at in range(0, len(numbers), BATCH_TILES):
            stretch = numbers[at : at + BATCH_TILES]
            found = read_tiles(connection, [(level, number) for number in stretch])
            stored = {tile.number: tile for tile in found}
            for number in stretch:
                width = min(TILE, now - number * TILE)
                yield _cut(stored.get(number), level, number, width)
        level += 1


def _cut(tile: Tile | None, level: int, number: int, width: int) -> Tile:
    if tile is None or tile.width < width:
        why = f"tile {number} at level {level} is incomplete"
        raise ForkedError("forked", number * TILE << TILE_HEIGHT * level, why)
    return tile._replace(hashes=tile.hashes[: width * HASH_SIZE])


class Bundle(NamedTuple):
    """Entries, each after its length in 2 bytes."""

    content: bytes
    empty: int
    """How many of them have no bytes: pruned, or longer than a bundle allows."""


def _bundle(connection: Connection, tile: Tile) -> Bundle | None:
    """Returns the entries of a tile's leaves; None if one is missing and was not pruned.

    Raises ForkedError for an event that differs from its tile.
    """
    first = tile.number * TILE + 1
    last = first + tile.width - 1
    with translated():
        rows = (Stored.of(row) for row in copy_rows(connection, first, last))
        events = {event.position: event for event in rows}
        asked = {"after": first - 1, "until": last, "limit": TILE}
        ranges = (
            connection.execute(READ_PRUNED, asked).fetchall() if len(events) < tile.width else []
        )
    pruned = {position for low, high in ranges for position in range(low, high + 1)}
    if events.keys() | pruned < set(range(first, last + 1)) or (events and tile.key is None):
        return None
    salts = b"" if tile.key is None else leaves.salts(tile.key)
    bundle, empty = bytearray(), 0
    for place in range(tile.width):
        event = events.get(first + place)
        entry = b"" if event is None else _entry(event, tile, place, salts)
        empty += not entry
        bundle += len(entry).to_bytes(2) + entry
    return Bundle(bytes(bundle), empty)


def _entry(event: Stored, tile: Tile, place: int, salts: bytes) -> bytes:
    """Returns an event's entry, checked against the tile; empty if it is too long for a bundle."""
    entry = event.entry(leaves.salt_at(salts, place))
    at = place * HASH_SIZE
    if merkle.hash_leaf(entry) != tile.hashes[at : at + HASH_SIZE]:
        why = f"the event at position {event.position} is not the one that is in the tree"
        raise ForkedError("forked", event.position, why)
    return entry if len(entry) <= MAX_ENTRY else b""


def _write(path: Path, content: bytes) -> None:
    """Replaces a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
