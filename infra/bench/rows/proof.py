"""Rows of proof: its cost for writers, and the speed of making and verifying it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final

from jobledger.infra.bench.arena import Arena
from jobledger.infra.bench.loads import loading
from jobledger.infra.bench.meter import Reading
from jobledger.infra.bench.pairs import Sides
from jobledger.infra.bench.peers.load import ready_events
from jobledger.infra.bench.rows.past import history
from jobledger.infra.bench.rows.reading import written
from jobledger.infra.ledger import Ledger
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.audit.verify_log import KnownCheckpoint, verify_log
from jobledger.infra.proof.log.leaves import copy_rows
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.receipts import make_receipt
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import SigningKey
from jobledger.infra.proof.signing.signer import Signer

STRIDE: Final = 1_299_709
"""A prime: the events that are proved lie all over the log."""
KIB: Final = 1024


@contextmanager
def append_sealed(arena: Arena) -> Iterator[Sides]:
    """Appends of 64 callers while they are hashed and signed, beside appends that are not."""
    with arena.ledger() as sealed, arena.ledger() as unsealed:
        command, home = ("load append", arena.dsn), str(arena.scratch)
        with (
            loading(arena, *command, sealed, "64", "", "sealed", home) as ours,
            loading(arena, *command, unsealed, "64", "", "unsealed", home) as theirs,
        ):
            yield Sides(ours.run, theirs.run)


@contextmanager
def verify_proof(arena: Arena) -> Iterator[Sides]:
    """All events hashed again and compared with a checkpoint, beside one hash over the same bytes as COPY sends them."""
    ledger = written(arena)
    checkpoint, size = _signed(arena, ledger), ledger.size()

    def check(connection: Connection) -> None:
        assert verify_log(connection, [KnownCheckpoint(checkpoint, "its own")]).ok

    def hash_all(connection: Connection) -> None:
        hashed = hashlib.sha256()
        for row in copy_rows(connection, 1, size):
            hashed.update(row)

    with ledger.connection() as connection, connection.transaction():
        yield Sides(
            lambda: arena.once(lambda: check(connection), size),
            lambda: arena.once(lambda: hash_all(connection), size),
        )


@contextmanager
def inclusion(arena: Arena) -> Iterator[Sides]:
    """Milliseconds of half the proofs that some event is in a long log, and in a short one."""
    many = history(arena, arena.sizes.history).ledger
    many.checkpoint()
    with arena.opened() as few:
        few.append_many(ready_events(arena.sizes.log // 3))
        few.checkpoint()
        yield Sides(lambda: proofs(arena, many), lambda: proofs(arena, few))


@contextmanager
def receipt_size(arena: Arena) -> Iterator[Sides]:
    """KiB of a receipt for an event of a long log."""
    many = history(arena, arena.sizes.history).ledger
    _signed(arena, many)
    [job] = many.list(limit=1)
    with many.connection() as connection:
        receipt = make_receipt(connection, Tree(), job.name)
    yield Sides(lambda: Reading(len(str(receipt).encode()) / KIB))


def proofs(arena: Arena, ledger: Ledger) -> Reading:
    """Milliseconds of a proof that some event is in the log, by the median."""
    tree, numbers = Tree(), count(1)
    with ledger.connection() as connection:
        size = tree.log_state(connection).size
        return arena.milliseconds(
            lambda: tree.prove_inclusion(connection, next(numbers) * STRIDE % size, size)
        )


def _signed(arena: Arena, ledger: Ledger) -> Checkpoint:
    """The checkpoint of all that is written, signed with a key that nobody keeps."""
    ledger.checkpoint()
    tree = Tree()
    with ledger.connection() as connection:
        origin = tree.log_state(connection).origin
        key = SigningKey.generate(origin)
        note = Signer(origin, [key], arena.scratch / ledger.name).sign(connection, tree)
    assert note is not None
    return Checkpoint.parse(note.text)
