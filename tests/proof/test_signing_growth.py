"""The tree grows over all events, in tiles, and is signed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from jobledger.domain.proof import merkle
from jobledger.infra import Ledger
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.log import growth as growing
from jobledger.infra.proof.log.leaves import copy_rows
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.publishing import checkpointer as sealing
from jobledger.infra.proof.signing.checkpoints import Checkpoint

from tests.signing import (
    NAME,
    assert_signed,
    kept,
    leaf_hashes,
    log_state,
    many,
    mth,
    new_key,
    sign,
    signed,
    wait_until_signed,
)

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.slow
def test_events_are_signed_within_a_second(ledger: Ledger) -> None:
    key = new_key(ledger)
    ledger.create(NAME)
    taken = [wait_until_signed(ledger)]
    for number in range(3):
        ledger.progress_reported(NAME, {"n": number})
        taken.append(wait_until_signed(ledger))
        assert_signed(ledger, key.verifier)
    # Half a second it waits for more; the best of them says what the machine can do.
    assert min(taken) < 2


def test_remaining_events_are_signed_when_the_ledger_is_closed(dsn: str, ledger_name: str) -> None:
    with Ledger.open(dsn, ledger_name) as ledger:
        key = new_key(ledger)
        ledger.create(NAME)
        ledger.started(NAME)
    with Ledger.open(dsn, ledger_name) as ledger:
        assert_signed(ledger, key.verifier)


@pytest.mark.slow
def test_closing_waits_for_the_growth_of_the_tree(
    dsn: str, ledger_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, grow = threading.Event(), growing.grow

    def slow(connection: Connection, size: int, to: int, rest: Callable[[], object] | None) -> int:
        began.set()
        time.sleep(0.2)
        return grow(connection, size, to, rest)

    monkeypatch.setattr(growing, "BATCH_EVENTS", 10)
    monkeypatch.setattr(sealing, "grow", slow)
    with Ledger.open(dsn, ledger_name) as ledger:
        ledger.append_many(many(30))
        assert began.wait(10)
    with Ledger.open(dsn, ledger_name) as ledger:
        assert_signed(ledger)


@pytest.mark.slow
def test_an_unfinished_copy_leaves_the_transaction_usable(quiet: Ledger) -> None:
    quiet.append_many(many(6_000))
    with quiet.connection() as connection, connection.transaction():
        rows = copy_rows(connection, 1, 6_000)
        next(rows)
        rows.close()
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    "counts",
    [
        (1,), (255, 1, 1), (256 * 3 + 5,), (100, 156, 300, 212),
        pytest.param((65_536 + 300,), marks=pytest.mark.slow),
    ],
    ids=str,
)  # fmt: skip
def test_the_tree_is_kept_in_tiles(quiet: Ledger, counts: tuple[int, ...]) -> None:
    key = new_key(quiet)
    for place, count in enumerate(counts):
        quiet.append_many(many(count, f"j{place}x"))
        signed(quiet)
        assert_signed(quiet, key.verifier)


def test_a_signed_tree_is_not_signed_again(quiet: Ledger) -> None:
    new_key(quiet)
    first = signed(quiet)
    assert Checkpoint.parse(first.text).size == 0
    assert sign(quiet) is None
    quiet.create(NAME)
    second = signed(quiet)
    assert sign(quiet) is None
    assert kept(quiet) == second != first


def test_proofs_from_the_tiles_verify(quiet: Ledger) -> None:
    quiet.append_many(many(600))
    sign(quiet)
    with quiet.connection() as connection:
        tree, hashes = Tree(), leaf_hashes(connection)
        for size in (1, 2, 255, 256, 257, 511, 512, 600):
            root = tree.root(connection, size)
            assert root == mth(hashes[:size])
            for index in {0, size // 2, size - 1}:
                proof = tree.prove_inclusion(connection, index, size)
                assert merkle.includes(hashes[index], index, size, proof, root)
            for old in {0, 1, size // 2, size}:
                proof = tree.prove_consistency(connection, old, size)
                old_root = mth(hashes[:old])
                assert merkle.is_consistent(old, size, old_root, root, proof)


def test_a_process_without_a_key_lets_the_tree_grow_and_signs_nothing(
    dsn: str, ledger_name: str, home: Path
) -> None:
    with Ledger.open(dsn, ledger_name) as ledger:
        ledger.create(NAME)
    with Ledger.open(dsn, ledger_name) as ledger:
        assert log_state(ledger)[1:] == (1, 1)
        assert_signed(ledger)
        assert list(home.rglob("*.checkpoint")) == []


@pytest.mark.slow
def test_signing_can_be_switched_off(
    dsn: str, ledger_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBLEDGER_SEAL", "false")
    with Ledger.open(dsn, ledger_name) as ledger:
        new_key(ledger)
        ledger.create(NAME)
        time.sleep(0.8)
    with Ledger.open(dsn, ledger_name) as ledger:
        assert log_state(ledger)[1:] == (0, 1)
        assert kept(ledger) is None


def test_the_tree_grows_only_from_where_it_is_and_over_what_is_there(quiet: Ledger) -> None:
    quiet.append_many(many(2))
    sign(quiet)
    grow = "SELECT grow_log(%s, %s, ARRAY[0]::smallint[], ARRAY[0]::bigint[], %s, ARRAY[NULL]::bytea[])"
    with quiet.connection() as connection:
        for old, new in ((1, 2), (0, 2), (2, 3), (3, 4), (2, 1)):
            try:
                row = connection.execute(grow, (old, new, [bytes(32)])).fetchone()
            except psycopg.errors.RestrictViolation:
                continue
            assert row == (False,)
    assert_signed(quiet)
