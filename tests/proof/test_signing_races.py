"""Signers that race, stop or are killed keep one history."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final

import pytest
from jobledger.domain.proof import merkle
from jobledger.infra import Ledger
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.publishing import checkpointer
from jobledger.infra.proof.publishing.checkpointer import GROWTH, WAIT_FOR_GROWTH, Checkpointer
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import Note
from jobledger.infra.settings import Settings

from tests.signing import (
    NAME,
    assert_signed,
    log_state,
    many,
    new_key,
    sign,
    signed,
)

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.slow
def test_concurrent_signers_keep_one_history(quiet: Ledger) -> None:
    key = new_key(quiet)
    sealers = [Checkpointer(quiet.conninfo, Settings()) for _ in range(4)]

    def race(signer: Checkpointer) -> list[Note]:
        notes = []
        for _ in range(15):
            note = signer.checkpoint()
            if note is not None:
                notes.append(note)
        return notes

    def write(number: int) -> None:
        for batch in range(8):
            quiet.append_many(many(97, f"w{number}b{batch}x"))

    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(write, number) for number in range(2)]
        racers = [pool.submit(race, signer) for signer in sealers]
        for writer in writers:
            writer.result(60)
        notes = [note for racer in racers for note in racer.result(60)]
    for signer in sealers:
        signer.close()
    sign(quiet)
    assert_signed(quiet, key.verifier)
    assert_one_history(quiet, notes)


def test_a_process_waits_for_another_that_makes_the_tree_grow(quiet: Ledger) -> None:
    """Otherwise each would read and hash the same events, and only one could store the tiles."""
    new_key(quiet)
    quiet.create(NAME)
    with (
        closing(Checkpointer(quiet.conninfo, Settings())) as second,
        ThreadPoolExecutor(1) as threads,
        quiet.connection() as first,
    ):
        with first.transaction():
            first.execute(WAIT_FOR_GROWTH, (GROWTH,))
            note = threads.submit(second.checkpoint)
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid <> pg_backend_pid()"
            while first.execute(waiting).fetchone() == (0,):
                assert not note.done(), "it did not wait"
                time.sleep(0.01)
            assert log_state(quiet)[1:] == (0, 1)
        assert note.result(30) is not None
    assert log_state(quiet)[1:] == (1, 1)


def test_a_stopped_process_does_not_block_other_signers(
    quiet: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointer, "GROWTH_WAIT_SECONDS", 0.1)
    new_key(quiet)
    quiet.create(NAME)
    with (
        closing(Checkpointer(quiet.conninfo, Settings())) as other,
        quiet.connection() as stopped,
        stopped.transaction(),
    ):
        stopped.execute(WAIT_FOR_GROWTH, (GROWTH,))
        assert other.checkpoint() is not None
    assert log_state(quiet)[1:] == (1, 1)


def assert_one_history(ledger: Ledger, notes: list[Note]) -> None:
    """No two checkpoints say different things of one size, and all are of this tree."""
    assert notes
    with ledger.connection() as connection:
        tree = Tree()
        for checkpoint in {Checkpoint.parse(note.text) for note in notes}:
            assert tree.root(connection, checkpoint.size) == checkpoint.root


RACER: Final = """
import sys
from jobledger.infra.proof.publishing.checkpointer import Checkpointer
from jobledger.infra.settings import Settings
signer = Checkpointer(sys.argv[1], Settings())
print("ready", flush=True)
for line in sys.stdin:
    note = signer.checkpoint()
    print("none" if note is None else repr(str(note)), flush=True)
"""


@pytest.mark.slow
def test_concurrent_processes_keep_one_history(quiet: Ledger) -> None:
    key = new_key(quiet)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, quiet.conninfo],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    message = []
    for process in processes:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for turn in range(8):
        quiet.append_many(many(90, f"t{turn}x"))
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("seal\n")
            process.stdin.flush()
    for process in processes:
        message += process.communicate(timeout=60)[0].splitlines()
        assert process.returncode == 0
    sign(quiet)
    assert_signed(quiet, key.verifier)
    assert len(message) == 16
    assert_one_history(
        quiet, [Note.parse(ast.literal_eval(line)) for line in message if line != "none"]
    )


DYING: Final = """
import os, signal, sys
from jobledger.infra import Ledger
from jobledger.infra.proof.log import growth
from jobledger.infra.proof.publishing import checkpointer
from jobledger.infra.proof.signing import signer
from jobledger.infra.proof.publishing.checkpointer import Checkpointer
from jobledger.infra.settings import Settings

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

dsn, name, place = sys.argv[1:]
module, attribute = place.split(" ")
target = {"checkpointer": checkpointer, "signer": signer, "Growth": growth.Growth, "Signer": signer.Signer}[module]
setattr(target, attribute, die)
with Ledger.open(dsn, name) as ledger:
    ledger.create("projects/p/jobs/last")
    ledger.seal()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "place",
    ["checkpointer grow", "Growth write", "Signer sign", "signer write_private", "signer keep"],
)
def test_after_kill_9_at_any_point_the_next_process_finishes(
    dsn: str, quiet: Ledger, place: str
) -> None:
    """Killed where that function would be called: before growing, storing, signing, or keeping what was signed."""
    key = new_key(quiet)
    quiet.append_many(many(300))
    before = Checkpoint.parse(signed(quiet).text)
    quiet.close()

    died = subprocess.run([sys.executable, "-c", DYING, dsn, quiet.name, place], timeout=60)
    assert died.returncode == -signal.SIGKILL

    with Ledger.open(dsn, quiet.name) as ledger:
        assert ledger.size() == 301
        sign(ledger)
        now = assert_signed(ledger, key.verifier)
        assert now is not None
        assert now.size == 301
        with ledger.connection() as connection:
            proof = Tree().prove_consistency(connection, before.size, now.size)
        assert merkle.is_consistent(before.size, now.size, before.root, now.root, proof)
        assert sign(ledger) is None
