"""Merkle trees as in RFC 6962 (section 2.1): roots, and proofs, made and verified.

A `Node` gives access to a tree: `node(level, number)` is the hash over the `2**level` leaves from
`number * 2**level`, all of which exist.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Final

from jobledger.domain.proof import hashing

HASH_SIZE: Final = hashing.HASH_SIZE
EMPTY_ROOT: Final = hashlib.sha256().digest()
"""The root over no leaves."""

Node = Callable[[int, int], bytes]
hash_pairs = hashing.hash_pairs
root_of = hashing.root_of


def hash_leaf(entry: bytes) -> bytes:
    """Returns the hash of a leaf's content."""
    return hashlib.sha256(b"\0" + entry).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """Returns the hash of an inner node."""
    return hashlib.sha256(b"\1" + left + right).digest()


def root(size: int, node: Node) -> bytes:
    """Returns the root over the first `size` leaves."""
    return _over(0, size, node) if size else EMPTY_ROOT


def prove_inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """Returns an inclusion proof (RFC 6962, section 2.1.1).

    Args:
        node: Access to the tree.
        index: The leaf's index, from 0.
        size: The number of leaves that the root is over.

    Returns:
        The hashes on the path from the leaf to the root, the leaf's sibling first.

    Raises:
        ValueError: The tree of that size has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not one of {size} leaves")
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
    """Returns a consistency proof (RFC 6962, section 2.1.2).

    Args:
        node: Access to the tree.
        old: The number of leaves of the earlier tree.
        size: The number of leaves of the later tree.

    Returns:
        The hashes; empty if the earlier tree has no leaf or all leaves.

    Raises:
        ValueError: The earlier tree is larger than the later one.
    """
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {old} leaves cannot grow to {size}")
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
    # The verifier knows the old root; it is left out if the old tree is a complete subtree.
    return ([] if whole else [_over(first, end, node)]) + path[::-1]


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows that the leaf is at that index under that root (RFC 9162, 2.1.3.2)."""
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
    """Returns the hash over the leaves from `first` to before `end`."""
    whole = list(_whole_trees(first, end))
    return reduce(
        lambda right, left: hash_children(node(*left), right), whole[-2::-1], node(*whole[-1])
    )


def _whole_trees(first: int, end: int) -> Iterator[tuple[int, int]]:
    """Returns the largest whole trees of those leaves, from the left, as level and number."""
    while first < end:
        level = (end - first).bit_length() - 1
        yield level, first >> level
        first += 1 << level


def _split(size: int) -> int:
    """Returns the largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_SIZE for value in values)
