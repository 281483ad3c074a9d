"""What proof is measured by: what it costs who writes, and how fast it is had and checked."""

import hashlib
import time
from statistics import median
from typing import Final

from jobledger.infra.bench.arena import Arena, Pair
from jobledger.infra.bench.load import ready_events
from jobledger.infra.bench.measures import JOBS
from jobledger.infra.bench.past import MANY, history
from jobledger.infra.ledger import Ledger
from jobledger.infra.proof.audit.verify_log import Shown, verify_log
from jobledger.infra.proof.log.leaves import copy_rows
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.receipts import make_receipt
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import SigningKey
from jobledger.infra.proof.signing.signer import Signer

FEW: Final = 2_000
PROOFS: Final = 400
STRIDE: Final = 1_299_709
"""A prime: the events that are proved lie all over the log."""
KIB: Final = 1024


def append_sealed(arena: Arena) -> Pair:
    """Appends of 64 callers while they are sealed and signed, beside appends that nobody seals."""
    sealed, unsealed = (
        arena.append64("", each, str(arena.scratch)) for each in ("sealed", "unsealed")
    )
    return sealed, unsealed


def verify_proof(arena: Arena) -> Pair:
    """All events hashed again and held against a checkpoint, beside one hash over the same bytes as COPY sends them."""
    if "proof" not in arena.kept:
        ledger = arena.stay(arena.open(arena.stay(arena.ledger())))
        ledger.append_many(ready_events(JOBS))
        arena.kept["proof"] = ledger, _signed(arena, ledger)
    ledger, checkpoint = arena.kept["proof"]
    with ledger.connection() as connection, connection.transaction():
        begin = time.monotonic()
        verdict = verify_log(connection, [Shown(checkpoint, "its own")])
        ours = time.monotonic() - begin
        assert verdict.ok
        begin = time.monotonic()
        hashed = hashlib.sha256()
        for row in copy_rows(connection, 1, verdict.size):
            hashed.update(row)
        theirs = time.monotonic() - begin
    return verdict.size / ours, verdict.size / theirs


def inclusion(arena: Arena) -> Pair:
    """Milliseconds of half the proofs that some event is in a log of two million, and in one of two thousand."""
    many = history(arena, MANY).ledger
    many.seal()
    with arena.ledger() as name, arena.open(name) as few:
        few.append_many(ready_events(FEW // 3))
        few.seal()
        return _half_of_proofs(many), _half_of_proofs(few)


def receipt_size(arena: Arena) -> Pair:
    """KiB of a receipt for an event of a log of two million, beside one."""
    many = history(arena, MANY).ledger
    _signed(arena, many)
    [job] = many.list(limit=1)
    with many.connection() as connection:
        receipt = make_receipt(connection, Tree(), job.name)
    return len(str(receipt).encode()) / KIB, 1


def _half_of_proofs(ledger: Ledger) -> float:
    tree, taken = Tree(), list[float]()
    with ledger.connection() as connection:
        size = tree.log_state(connection).size
        for number in range(PROOFS):
            index = number * STRIDE % size
            begin = time.monotonic()
            tree.prove_inclusion(connection, index, size)
            taken.append(time.monotonic() - begin)
    return median(taken) * 1000


def _signed(arena: Arena, ledger: Ledger) -> Checkpoint:
    """The checkpoint of all that is written, signed with a key that nobody keeps."""
    ledger.seal()
    tree = Tree()
    with ledger.connection() as connection:
        origin = tree.log_state(connection).origin
        key = SigningKey.generate(origin)
        note = Signer(origin, [key], arena.scratch / ledger.name).sign(connection, tree)
    assert note is not None
    return Checkpoint.parse(note.text)
