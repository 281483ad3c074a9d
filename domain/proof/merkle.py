"""Merkle trees as RFC 6962 (section 2.1) has them: roots, and proofs that are made and checked.

A `Node` is how the maker of a proof gets at a tree: `node(level, number)` is the hash over the
leaves `number * 2**level` and on, `2**level` of them, all of which are there.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Final

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = hashlib.sha256().digest()
"""The root over no leaves."""

Node = Callable[[int, int], bytes]


def hash_leaf(entry: bytes) -> bytes:
    """The hash of one leaf's content."""
    return hashlib.sha256(b"\0" + entry).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\1" + left + right).digest()


def hash_pairs(hashes: bytes) -> bytes:
    """The level above: one hash for each two of these, which follow one another; an odd one is left out."""
    sha256 = hashlib.sha256
    return b"".join(
        [
            sha256(b"\1" + hashes[at : at + 2 * HASH_SIZE]).digest()
            for at in range(0, len(hashes) - HASH_SIZE, 2 * HASH_SIZE)
        ]
    )


def root_of(hashes: bytes) -> bytes:
    """The root over leaves, or whole trees, of these hashes; there are a power of two of them."""
    while len(hashes) > HASH_SIZE:
        hashes = hash_pairs(hashes)
    return hashes


def root(size: int, node: Node) -> bytes:
    """The root over the first `size` leaves."""
    return _over(0, size, node) if size else EMPTY_ROOT


def prove_inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """The path from leaf `index` to the root over `size` leaves, the leaf's sibling first."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} among {size}")
    path, first, end = list[bytes](), 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            path.append(_over(middle, end, node))
            end = middle
        else:
            path.append(_over(first, middle, node))
            first = middle
    return path[::-1]


def prove_consistency(old: int, size: int, node: Node) -> list[bytes]:
    """That the first `old` of `size` leaves are those of the tree of that size; empty for none or all."""
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {size} leaves never had {old}")
    if old in {0, size}:
        return []
    path, first, end, whole = list[bytes](), 0, size, True
    while old != end:
        middle = first + _split(end - first)
        if old <= middle:
            path.append(_over(middle, end, node))
            end = middle
        else:
            path.append(_over(first, middle, node))
            first, whole = middle, False
    # The old tree's root is known to who asks; else it must be told where it is no whole tree.
    return ([] if whole else [_over(first, end, node)]) + path[::-1]


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows the hash `leaf` at that index under that root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes((leaf, *proof)):
        return False
    place, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = hash_children(sibling, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = hash_children(found, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(
    old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the proof shows that the tree only grew (RFC 9162, section 2.1.4.2)."""
    if not 0 <= old <= size or not _are_hashes((old_root, root, *proof)):
        return False
    if old == size:
        return not proof and old_root == root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    hashes = iter(proof)
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    # Where the old tree is a whole one, its root is where both begin.
    found = old_found = next(hashes, b"") if place else old_root
    for sibling in hashes:
        if last == 0:
            return False
        if place & 1 or place == last:
            found, old_found = hash_children(sibling, found), hash_children(sibling, old_found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = hash_children(found, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root and old_found == old_root


def _over(first: int, end: int, node: Node) -> bytes:
    """The hash over the leaves from `first` to before `end`, which a proof may ask for."""
    whole = list(_whole_trees(first, end))
    return reduce(
        lambda right, left: hash_children(node(*left), right), whole[-2::-1], node(*whole[-1])
    )


def _whole_trees(first: int, end: int) -> Iterator[tuple[int, int]]:
    """The largest whole trees those leaves make up, from the left: level and number."""
    while first < end:
        level = (end - first).bit_length() - 1
        yield level, first >> level
        first += 1 << level


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_SIZE for value in values)
