"""Roots and proofs, compared with published vectors and another implementation, and with damaged input."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobledger.domain.proof import merkle
from jobledger.domain.proof.merkle import HASH_SIZE, Node
from pymerkle import InmemoryTree, verify_consistency  # type: ignore[import-untyped]

from tests.checkout import shared

Over = Callable[[int, int], bytes]
"""The root over the leaves from the first to before the end."""
Steps = list[str]


def read(path: Path) -> dict[str, Any]:
    case: dict[str, Any] = json.loads(path.read_text())
    return case


def unpacked(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def verdicts(folder: str, accepts: Callable[[dict[str, Any]], bool]) -> tuple[int, list[str]]:
    """How many cases there are, and those that are judged wrongly."""
    cases = {
        path: read(path) for path in sorted(shared(f"vectors/rfc6962/{folder}").rglob("*.json"))
    }
    wrong = [str(path) for path, case in cases.items() if accepts(case) is case["wantErr"]]
    return len(cases), wrong


def test_exactly_the_published_proofs_of_inclusion_that_hold_are_accepted() -> None:
    def accepts(case: dict[str, Any]) -> bool:
        proof = [unpacked(each) for each in case["proof"] or ()]
        return merkle.includes(
            unpacked(case["leafHash"]), case["leafIdx"], case["treeSize"], proof, unpacked(case["root"])
        )  # fmt: skip

    count, wrong = verdicts("inclusion", accepts)
    assert wrong == []
    assert count > 70


def test_exactly_the_published_proofs_of_consistency_that_hold_are_accepted() -> None:
    def accepts(case: dict[str, Any]) -> bool:
        proof = [unpacked(each) for each in case["proof"] or ()]
        roots = unpacked(case["root1"]), unpacked(case["root2"])
        return merkle.is_consistent(case["size1"], case["size2"], *roots, proof)

    count, wrong = verdicts("consistency", accepts)
    assert wrong == []
    assert count > 70


def entries(count: int, seed: int) -> list[bytes]:
    """No two are alike."""
    random = Random(seed)
    return [number.to_bytes(4) + random.randbytes(random.randrange(40)) for number in range(count)]


def over(hashes: list[bytes]) -> Over:
    """MTH as RFC 6962, section 2.1, says it."""

    @cache
    def mth(first: int, end: int) -> bytes:
        if end - first == 1:
            return hashes[first]
        middle = first + split(end - first)
        return hashlib.sha256(b"\1" + mth(first, middle) + mth(middle, end)).digest()

    return mth


def split(size: int) -> int:
    """The largest power of two below a size."""
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def nodes(mth: Over) -> Node:
    return lambda level, number: mth(number << level, (number + 1) << level)


def path(index: int, first: int, end: int, mth: Over) -> list[bytes]:
    """PATH (section 2.1.1)."""
    if end - first == 1:
        return []
    middle = first + split(end - first)
    if index < middle:
        return [*path(index, first, middle, mth), mth(middle, end)]
    return [*path(index, middle, end, mth), mth(first, middle)]


def subproof(old: int, first: int, end: int, whole: bool, mth: Over) -> list[bytes]:
    """SUBPROOF (section 2.1.2); `old` is an index of the whole tree here."""
    if old == end:
        return [] if whole else [mth(first, end)]
    middle = first + split(end - first)
    if old <= middle:
        return [*subproof(old, first, middle, whole, mth), mth(middle, end)]
    return [*subproof(old, middle, end, False, mth), mth(first, middle)]


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 3, 7, 255, 256, 257, 4095, 4096, 4097, 10_000])
def test_another_implementation_has_the_same_roots_and_proofs(size: int) -> None:
    random, leaves = Random(size), entries(size, size)
    other = InmemoryTree()
    other.append_entries(leaves)
    hashes = [merkle.hash_leaf(entry) for entry in leaves]
    mth = over(hashes)
    node = nodes(mth)

    sizes = {1, 2, 3, size // 2, size - 1, size, *(random.randint(1, size) for _ in range(12))}
    for end in sorted(sizes & set(range(1, size + 1))):
        root = merkle.root(end, node)
        assert root == other.get_root(end)

        for index in {0, end // 2, end - 1, *(random.randrange(end) for _ in range(6))}:
            proof = merkle.prove_inclusion(index, end, node)
            assert proof == other.prove_inclusion(index + 1, end).path[1:]
            assert merkle.includes(hashes[index], index, end, proof, root)

        for old in {1, (end + 1) // 2, end, *(random.randint(1, end) for _ in range(6))}:
            old_root = merkle.root(old, node)
            proof = merkle.prove_consistency(old, end, node)
            assert merkle.is_consistent(old, end, old_root, root, proof)
            # Its proofs of consistency name other hashes than RFC 6962 has them, of the same trees.
            verify_consistency(old_root, root, other.prove_consistency(old, end), old, end)
            assert proof == subproof(old, 0, end, True, mth)


def test_the_root_over_a_full_tile_is_that_over_its_leaves() -> None:
    hashes = [merkle.hash_leaf(entry) for entry in entries(256, 0)]
    assert merkle.root_of(b"".join(hashes)) == over(hashes)(0, 256)
    assert merkle.root(0, nodes(over([]))) == hashlib.sha256().digest() == merkle.EMPTY_ROOT


def steps_of_inclusion(index: int, size: int) -> Steps:
    """On which side the hashes of the path stand, from the leaf to the root."""
    first, end, steps = 0, size, Steps()
    while end - first > 1:
        middle = first + split(end - first)
        steps.append("right" if index < middle else "left")
        first, end = (first, middle) if index < middle else (middle, end)
    return steps[::-1]


def steps_of_consistency(old: int, size: int) -> Steps:
    """What a proof of consistency begins with, and on which side the rest stand."""
    if old in {0, size}:
        return ["nothing"] if old == 0 < size else ["same"]
    first, end, whole, steps = 0, size, True, Steps()
    while old != end:
        middle = first + split(end - first)
        steps.append("right" if old <= middle else "left")
        first, end, whole = (first, middle, whole) if old <= middle else (middle, end, False)
    return ["the old root" if whole else "told", *steps[::-1]]


@st.composite
def grown(draw: st.DrawFn) -> tuple[list[bytes], list[int]]:
    """Leaves that came in a random sequence of appends, and the sizes at which checkpoints were made."""
    appends = draw(st.lists(st.integers(0, 40), min_size=1, max_size=6))
    sizes = [sum(appends[:count]) for count in range(len(appends) + 1)]
    hashes = [merkle.hash_leaf(entry) for entry in entries(sizes[-1], draw(st.integers(0, 9)))]
    return hashes, sizes


@pytest.mark.slow
@given(grown())
@settings(max_examples=60, deadline=None)
def test_every_proof_between_any_checkpoints_holds(given_: tuple[list[bytes], list[int]]) -> None:
    hashes, sizes = given_
    node = nodes(over(hashes))
    roots = {size: merkle.root(size, node) for size in sizes}
    for size in sizes:
        for index in range(size):
            proof = merkle.prove_inclusion(index, size, node)
            assert merkle.includes(hashes[index], index, size, proof, roots[size])
        for old in (each for each in sizes if each <= size):
            proof = merkle.prove_consistency(old, size, node)
            assert merkle.is_consistent(old, size, roots[old], roots[size], proof)
    for before, after in pairwise(sizes):
        if before < after:
            assert not merkle.is_consistent(after, before, roots[after], roots[before], [])


def flipped(value: bytes, at: int, bits: int) -> bytes:
    return value[:at] + bytes([value[at] ^ bits]) + value[at + 1 :]


def damaged(proof: list[bytes], bits: int) -> list[list[bytes]]:
    """The proof with each of its bytes changed, a hash less, more, twice, cut off, or two exchanged."""
    found = [
        [*proof[:place], flipped(proof[place], at, bits), *proof[place + 1 :]]
        for place in range(len(proof))
        for at in range(HASH_SIZE)
    ]
    found += [[*proof[:place], *proof[place + 1 :]] for place in range(len(proof))]
    for place in range(len(proof) + 1):
        found.append([*proof[:place], bytes(HASH_SIZE), *proof[place:]])
        found.append([*proof[:place], *proof[place : place + 1] * 2, *proof[place + 1 :]])
        found.append([*proof[:place], *(each[:-1] for each in proof[place:])])
        found.append([*proof[:place], *proof[place:][::-1]])
    return [each for each in found if each != proof]


@pytest.mark.slow
@given(st.integers(1, 80), st.integers(0, 79), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_no_proof_of_inclusion_holds_for_anything_else(size: int, index: int, bits: int) -> None:
    """Any byte of the leaf, the proof or the root; and any other place.

    Left out are only sizes at which the leaf's path has the same shape: the first leaf of three
    and of four, say. They do not enter the hashes; a checkpoint says size and root together, and
    is signed. No other index of the same size has the same path.
    """
    index %= size
    hashes = [merkle.hash_leaf(entry) for entry in entries(size, bits)]
    node = nodes(over(hashes))
    leaf, root = hashes[index], merkle.root(size, node)
    proof = merkle.prove_inclusion(index, size, node)

    for at in range(HASH_SIZE):
        assert not merkle.includes(flipped(leaf, at, bits), index, size, proof, root)
        assert not merkle.includes(leaf, index, size, proof, flipped(root, at, bits))
    for other in damaged(proof, bits):
        assert not merkle.includes(leaf, index, size, other, root)
    for place in range(-2, size + 3):
        assert merkle.includes(leaf, place, size, proof, root) is (place == index)
    shape = steps_of_inclusion(index, size)
    for count in range(1, 2 * size + 2):
        for place in range(count):
            same = steps_of_inclusion(place, count) == shape
            assert merkle.includes(leaf, place, count, proof, root) is same


@pytest.mark.slow
@given(st.integers(1, 80), st.integers(0, 80), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_no_proof_of_consistency_holds_for_anything_else(size: int, old: int, bits: int) -> None:
    """Any byte of the proof or of either root; and any other sizes.

    Left out are only sizes between which a proof has the same shape, as above, and the later root
    where the earlier tree is empty: any tree has grown from that.
    """
    old %= size + 1
    node = nodes(over([merkle.hash_leaf(entry) for entry in entries(size, bits)]))
    old_root, root = merkle.root(old, node), merkle.root(size, node)
    proof = merkle.prove_consistency(old, size, node)

    for at in range(HASH_SIZE):
        assert not merkle.is_consistent(old, size, flipped(old_root, at, bits), root, proof)
        accepted = merkle.is_consistent(old, size, old_root, flipped(root, at, bits), proof)
        assert accepted is (old == 0)
    for other in damaged(proof, bits):
        assert not merkle.is_consistent(old, size, old_root, root, other)
    shape = steps_of_consistency(old, size)
    for later in range(2 * size + 2):
        for earlier in range(-1, later + 2):
            same = 0 <= earlier <= later and steps_of_consistency(earlier, later) == shape
            assert merkle.is_consistent(earlier, later, old_root, root, proof) is same


def test_a_missing_leaf_cannot_be_proved() -> None:
    node = nodes(over([merkle.hash_leaf(entry) for entry in entries(3, 0)]))
    for index, size in ((-1, 3), (3, 3), (0, 0)):
        with pytest.raises(ValueError, match="is not one of"):
            merkle.prove_inclusion(index, size, node)
    for old, size in ((-1, 3), (4, 3)):
        with pytest.raises(ValueError, match="cannot grow"):
            merkle.prove_consistency(old, size, node)


@given(st.integers(1, 2**63), st.data())
def test_proofs_in_trees_of_any_size_are_short_and_take_no_whole_tree(
    size: int, data: st.DataObject
) -> None:
    """The hashes themselves do not matter: only which of them are asked for."""
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(0, size))
    asked: list[tuple[int, int]] = []

    def node(level: int, number: int) -> bytes:
        assert (number + 1) << level <= size
        asked.append((level, number))
        return bytes(HASH_SIZE)

    assert len(merkle.prove_inclusion(index, size, node)) == len(steps_of_inclusion(index, size))
    assert len(merkle.prove_consistency(old, size, node)) <= 65
    assert len(asked) <= 4 * 64
