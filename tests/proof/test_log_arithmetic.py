"""The log's arithmetic without a database: tiles and what is between them, their growth, roots, rows, and files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobledger.domain.proof import leaves, merkle
from jobledger.domain.proof.hashing import hash_rows
from jobledger.domain.proof.leaves import SALT_SIZE, TILE, Entry
from jobledger.domain.proof.merkle import HASH_SIZE
from jobledger.infra.errors import ForkedError
from jobledger.infra.proof.log.growth import Growth, _edge, _first_gap
from jobledger.infra.proof.log.leaves import Stored, are_at, position_of
from jobledger.infra.proof.log.roots import Roots
from jobledger.infra.proof.log.tree import Layers, Tile, tile_of
from jobledger.infra.proof.signing.algorithms import SIGNATURE
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import Note, SigningKey
from jobledger.infra.proof.tiles import CHECKPOINT, _cut, _published, _write, read_file, tile_path

NO_CONNECTION = cast(Any, None)
"""For what is answered without the database."""
BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
SIZES = st.integers(0, 3 * TILE + 2)


def leaf_hashes(count: int) -> bytes:
    return Random(count).randbytes(count * HASH_SIZE)


def root_over(hashes: bytes) -> bytes:
    """MTH as RFC 6962, section 2.1, says it."""
    count = len(hashes) // HASH_SIZE
    if count < 2:
        return hashes or hashlib.sha256().digest()
    half = 1
    while half * 2 < count:
        half *= 2
    left, right = hashes[: half * HASH_SIZE], hashes[half * HASH_SIZE :]
    return hashlib.sha256(b"\1" + root_over(left) + root_over(right)).digest()


def tile_size(level: int) -> int:
    """How many leaves a full tile of the level is over."""
    return 1 << 8 * (level + 1)


@given(st.integers(0, 40), st.integers(0, 2**40))
def test_a_hash_is_in_the_tile_that_is_over_its_leaves(level: int, number: int) -> None:
    first_leaf = number * 2**level
    tile_level, tile = tile_of(level, number)
    assert 8 * tile_level <= level < 8 * (tile_level + 1)
    assert tile == first_leaf // tile_size(tile_level)


@given(st.integers(0, 8))
def test_layers_are_the_hashes_between_two_levels_of_tiles(height: int) -> None:
    hashes = leaf_hashes(TILE)
    layers = Layers.of(hashes)
    assert len(layers.all) == 9
    width = HASH_SIZE << height
    for number in range(TILE >> height):
        part = hashes[number * width : (number + 1) * width]
        assert layers.hash(height, number) == root_over(part)
    assert layers.hash(height, TILE >> height) == b""


@pytest.mark.parametrize("width", [1, 2, 3, 5, 255])
def test_a_tile_that_is_not_full_has_no_hashes_over_what_is_not_there(width: int) -> None:
    hashes = leaf_hashes(width)
    layers = Layers.of(hashes)
    for height in range(10):
        for number in range(5):
            part = hashes[number * (HASH_SIZE << height) : (number + 1) * (HASH_SIZE << height)]
            is_whole = len(part) == HASH_SIZE << height
            assert layers.hash(height, number) == (root_over(part) if is_whole else b"")


def test_a_tile_is_as_wide_as_it_has_hashes() -> None:
    assert [Tile(0, 0, leaf_hashes(width), None).width for width in (0, 1, 7)] == [0, 1, 7]


@pytest.mark.slow
@given(st.sets(SIZES, min_size=1, max_size=5), SIZES)
@settings(max_examples=60, deadline=None)
def test_roots_of_any_sizes_are_those_over_their_leaves(sizes: set[int], copied_at: int) -> None:
    hashes = leaf_hashes(max(sizes))
    roots, copies = Roots(sizes), list[Roots]()
    for first in range(0, len(hashes), TILE * HASH_SIZE):
        if first >= copied_at * HASH_SIZE and not copies:
            copies.append(roots.copy())
            copies.append(roots)
            roots = copies[0]
        roots.add(hashes[first : first + TILE * HASH_SIZE])
    expected = {size: root_over(hashes[: size * HASH_SIZE]) for size in sizes}
    assert {size: roots.at(size) for size in sizes} == expected
    full = [hashes[at : at + TILE * HASH_SIZE] for at in range(0, len(hashes), TILE * HASH_SIZE)]
    assert roots.tiles == [root_over(tile) for tile in full if len(tile) == TILE * HASH_SIZE]


def test_a_copy_of_roots_is_independent() -> None:
    hashes = leaf_hashes(2 * TILE)
    first, second = hashes[: TILE * HASH_SIZE], hashes[TILE * HASH_SIZE :]
    roots = Roots([TILE + 3])
    roots.add(first)
    copied = roots.copy()
    copied.add(second)
    assert copied.at(TILE + 3) == root_over(hashes[: (TILE + 3) * HASH_SIZE])
    assert (len(roots.tiles), len(copied.tiles)) == (1, 2)
    with pytest.raises(KeyError):
        roots.at(TILE + 3)


def test_only_the_tiles_that_sizes_end_in_are_kept() -> None:
    hashes, tile = leaf_hashes(3 * TILE), TILE * HASH_SIZE
    roots = Roots([TILE, 3 * TILE - 1])
    for number in range(3):
        roots.add(hashes[number * tile : (number + 1) * tile])
    assert list(roots._kept) == [2]


@pytest.mark.parametrize("full", [1, 2, 3, 6])
def test_tiles_that_are_known_are_skipped(full: int) -> None:
    hashes = leaf_hashes(full * TILE + 9)
    tile = TILE * HASH_SIZE
    roots = Roots([full * TILE + 9])
    roots.skip(root_over(hashes[number * tile : (number + 1) * tile]) for number in range(full))
    roots.add(hashes[full * tile :])
    assert roots.at(full * TILE + 9) == root_over(hashes)


def grown(steps: Sequence[int]) -> tuple[Growth, bytes]:
    """A tree that grew from nothing by at most so many leaves at once; and all their hashes."""
    growth, hashes = Growth(NO_CONNECTION, 0), leaf_hashes(sum(steps))
    for step in steps:
        end = (growth.size + step) * HASH_SIZE
        while growth.size * HASH_SIZE < end:
            at = growth.size * HASH_SIZE
            room = min(end, at + growth.room() * HASH_SIZE)
            assert len(growth.salts()) == growth.room() * SALT_SIZE
            growth.add(hashes[at:room])
    return growth, hashes


@pytest.mark.slow
@given(st.lists(st.integers(1, 2 * TILE), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_tiles_grow_over_leaves_and_fill_up_the_level_above(steps: list[int]) -> None:
    growth, hashes = grown(steps)
    assert growth.size == sum(steps)
    tile = TILE * HASH_SIZE
    leaf_tiles = [hashes[at : at + tile] for at in range(0, len(hashes), tile)]
    full = [root_over(each) for each in leaf_tiles if len(each) == tile]
    expected = {(0, number): each for number, each in enumerate(leaf_tiles)}
    expected |= {(1, 0): b"".join(full)} if full else {}
    assert {place: bytes(edge.hashes) for place, edge in growth.changed.items()} == expected
    assert all(type(edge.number) is int for edge in growth.changed.values())
    keys = [edge.key for (level, _), edge in growth.changed.items() if level == 0]
    assert all(key is not None and len(key) == SALT_SIZE for key in keys)
    assert len(set(keys)) == len(keys)
    assert all(edge.key is None for (level, _), edge in growth.changed.items() if level)


def test_salts_are_those_of_the_leaves_that_follow() -> None:
    growth, hashes = grown([3])
    key = growth.changed[0, 0].key
    assert key is not None
    assert growth.salts() == leaves.salts(key)[3 * SALT_SIZE :]
    growth.add(hashes[: 2 * HASH_SIZE])
    assert growth.salts() == leaves.salts(key)[5 * SALT_SIZE :]
    assert growth.room() == TILE - 5


@pytest.mark.slow
def test_a_full_tile_of_the_second_level_fills_up_the_third() -> None:
    growth, hashes = grown([TILE * TILE + 1])
    assert growth.changed[2, 0].hashes == root_over(hashes[: TILE * TILE * HASH_SIZE])
    assert len(growth.changed[1, 0].hashes) == TILE * HASH_SIZE
    assert growth.changed[0, TILE].hashes == hashes[-HASH_SIZE:]


@given(st.integers(0, 2**62))
def test_the_edge_is_where_the_next_leaf_goes_on_each_level(size: int) -> None:
    assert _edge(size) == [(level, size // tile_size(level)) for level in range(8)]


ENTRIES = [
    Entry(
        f"projects/p/jobs/{number}",
        number + 1,
        "Created",
        1,
        None if number % 3 == 0 else BEGIN,
        BEGIN + timedelta(seconds=number),
        "ana" if number % 2 else None,
        None,
        None,
        b"",
    )
    for number in range(5)
]


def row_of(position: int, data: bytes | None, entry: Entry) -> bytes:
    """As PostgreSQL's binary COPY has it: the number of fields, and each behind its length."""
    fields = entry.encode()[1:]
    length = leaves.ABSENT if data is None else len(data).to_bytes(4)
    number, place = (11).to_bytes(2), (8).to_bytes(4) + position.to_bytes(8)
    return number + place + length + (data or b"") + fields


@pytest.mark.parametrize("data", [b"{}", b'{"worker":"w1"}', b"x" * 300, b""])
def test_a_row_is_a_leaf(data: bytes) -> None:
    rows = [row_of(2**40 + at, data, entry) for at, entry in enumerate(ENTRIES)]
    key = b"k" * SALT_SIZE
    salts = leaves.salts(key)[: len(rows) * SALT_SIZE]
    entries = [
        entry._replace(commitment=leaves.commit(leaves.salt_at(salts, at), data))
        for at, entry in enumerate(ENTRIES)
    ]
    hashes = [merkle.hash_leaf(entry.encode()) for entry in entries]
    assert hash_rows(rows, salts) == b"".join(hashes)
    for at, (row, entry) in enumerate(zip(rows, entries, strict=True)):
        stored, salt = Stored.of(row), leaves.salt_at(salts, at)
        assert (stored.position, stored.data) == (2**40 + at, data)
        assert (stored.entry(salt), stored.hash(salt)) == (entry.encode(), hashes[at])
        assert stored.name == entry.name
        assert position_of(row) == 2**40 + at


def test_a_row_without_data_or_with_damaged_fields_is_still_read() -> None:
    stored = Stored.of(row_of(7, None, ENTRIES[1]))
    assert (stored.position, stored.data, stored.name) == (7, b"", ENTRIES[1].name)
    assert Stored(1, b"", b"damaged").name == ""


def test_each_row_needs_its_salt() -> None:
    rows = [row_of(at + 1, b"{}", entry) for at, entry in enumerate(ENTRIES)]
    salts = leaves.salts(b"k")
    assert len(hash_rows(rows, salts)) == len(rows) * HASH_SIZE
    assert hash_rows([], salts) == b""


@pytest.mark.slow
@given(
    st.lists(st.integers(1, 9), unique=True, max_size=6).map(sorted),
    st.integers(1, 9),
    st.integers(0, 9),
)
def test_rows_are_at_all_positions_of_a_range_or_leave_a_gap(
    positions: list[int], first: int, last: int
) -> None:
    rows = [row_of(position, b"{}", ENTRIES[0]) for position in positions]
    assert are_at(rows, first, last) == (
        positions == list(range(first, last + 1)) and last >= first - 1
    )
    wanted = range(first, first + len(rows) + 1)
    following = [position for position in positions if position >= first]
    if following == positions:
        assert _first_gap(rows, first) == next(at for at in wanted if at not in positions)


@pytest.mark.parametrize(
    ("level", "number", "width", "path"),
    [
        (0, 0, TILE, "tile/0/000"),
        (1, 7, TILE, "tile/1/007"),
        (0, 1_234_067, TILE, "tile/0/x001/x234/067"),
        (0, 273, 112, "tile/0/273.p/112"),
        (2, 0, 1, "tile/2/000.p/1"),
        ("entries", 12_345, 255, "tile/entries/x012/345.p/255"),
    ],
)  # fmt: skip
def test_paths_are_those_of_the_specification(
    level: int | str, number: int, width: int, path: str
) -> None:
    assert tile_path(level, number, width) == path


@pytest.mark.parametrize(
    "path",
    ["", "tile/0", "tile/00/000", "tile/0/0", "tile/0/000.p/0", "tile/0/x1/000", "tile/8/000", "tile/63/000",
     "tile/0/x001/x099/x511/x627/776", "checkpoint", "tile/100/000"],
)  # fmt: skip
def test_impossible_tile_paths_are_not_looked_up(path: str) -> None:
    assert read_file(NO_CONNECTION, path) is None


def test_a_tile_is_cut_to_the_width_of_the_tree() -> None:
    tile = Tile(1, 2, leaf_hashes(5), None)
    assert _cut(tile, 1, 2, 5) == tile
    assert _cut(tile, 1, 2, 3) == tile._replace(hashes=leaf_hashes(5)[: 3 * HASH_SIZE])
    for found in (None, tile):
        with pytest.raises(ForkedError) as caught:
            _cut(found, 1, 2, 6)
        error = caught.value
        assert (error.kind, error.position) == ("forked", 2 * TILE * TILE)
        assert error.why == "tile 2 at level 1 is incomplete"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "tile" / "0" / "000"
    for content in (b"one", b"two"):
        _write(path, content)
        assert path.read_bytes() == content
    _write(path.with_name("001"), b"beside")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        _write(tmp_path / "taken", b"three")
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["0", "000", "001", "taken", "tile"]


def test_a_folder_is_of_the_checkpoint_that_is_in_it(tmp_path: Path) -> None:
    assert _published(tmp_path) is None
    checkpoint = Checkpoint("example.com/log", 7, b"r" * HASH_SIZE)
    signature = SigningKey.generate("example.com/log", SIGNATURE).sign(checkpoint.text)
    (tmp_path / CHECKPOINT).write_text(str(Note(checkpoint.text, (signature,))))
    assert _published(tmp_path) == checkpoint


def test_a_range_is_printed_with_both_ends() -> None:
    rows = [row_of(position, b"{}", ENTRIES[0]) for position in range(3, 9)]
    assert are_at(rows, 3, 8)
    assert are_at([], 3, 2)
    for first, last in ((3, 9), (2, 8), (4, 9), (2, 7), (3, 7)):
        assert not are_at(rows, first, last)
    shifted = [*rows[:-1], row_of(9, b"{}", ENTRIES[0])]
    assert not are_at(shifted, 3, 8)
    assert _first_gap(shifted, 3) == 8
    assert _first_gap(rows, 3) == 9
