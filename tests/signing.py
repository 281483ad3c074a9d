"""Ledgers that tests sign, and what a signed tree must be."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Final

import pytest
from jobledger.domain.events import Created, Event
from jobledger.domain.proof import leaves, merkle
from jobledger.domain.proof.leaves import Entry
from jobledger.infra import Ledger
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.log.tree import LogState, Tree
from jobledger.infra.proof.publishing.checkpointer import Checkpointer
from jobledger.infra.proof.signing.checkpoints import Checkpoint, open_checkpoint
from jobledger.infra.proof.signing.keys import create_key
from jobledger.infra.proof.signing.notes import Note, SigningKey, VerifierKey
from jobledger.infra.proof.signing.signer import read_kept
from jobledger.infra.settings import Settings

BEGIN: Final = datetime(2026, 6, 1, tzinfo=UTC)


NAME: Final = "projects/p/jobs/one"


def log_state(ledger: Ledger) -> LogState:
    with ledger.connection() as connection:
        return Tree().log_state(connection)


def new_key(ledger: Ledger) -> SigningKey:
    return create_key(Settings(), log_state(ledger).origin)


def kept(ledger: Ledger) -> Note | None:
    """The last checkpoint in the database."""
    with ledger.connection() as connection:
        return read_kept(connection)


def sign(ledger: Ledger) -> Note | None:
    with closing(Checkpointer(ledger.conninfo, Settings())) as signer:
        return signer.checkpoint()


def signed(ledger: Ledger) -> Note:
    note = sign(ledger)
    assert note is not None
    return note


def many(count: int, prefix: str = "j") -> Iterator[Event]:
    for number in range(count):
        yield Event(f"projects/p/jobs/{prefix}{number}", 1, Created(), BEGIN)


def mth(hashes: list[bytes]) -> bytes:
    """The Merkle Tree Hash as RFC 6962, section 2.1, says it."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256().digest()
    middle = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + mth(hashes[:middle]) + mth(hashes[middle:])).digest()


def leaf_hashes(connection: Connection) -> list[bytes]:
    """Of all events, from what psycopg reads of them."""
    keys = connection.execute("SELECT number, key FROM tiles WHERE level = 0").fetchall()
    salts = {number: leaves.salts(key) for number, key in keys}
    rows = connection.execute(
        "SELECT position, data, name, version, type, schema, occurred_time, recorded_time,"
        " actor, request_id, trace_parent FROM events ORDER BY position"
    )
    hashes = []
    for position, data, *fields in rows:
        salt = leaves.salt_at(salts[(position - 1) // 256], position - 1)
        entry = Entry._make((*fields, leaves.commit(salt, data)))
        hashes.append(merkle.hash_leaf(entry.encode()))
    return hashes


def tiles_over(hashes: list[bytes]) -> dict[tuple[int, int], bytes]:
    """All tiles as C2SP tlog-tiles has them, by level and number."""
    tiles, level = {}, 0
    while hashes:
        chunks = [hashes[at : at + 256] for at in range(0, len(hashes), 256)]
        tiles.update({(level, number): b"".join(chunk) for number, chunk in enumerate(chunks)})
        hashes = [mth(chunk) for chunk in chunks if len(chunk) == 256]
        level += 1
    return tiles


def assert_signed(ledger: Ledger, *keys: VerifierKey) -> Checkpoint | None:
    """Checks that the tree holds all events, is correct, and is signed by each key."""
    with ledger.connection() as connection:
        tree = Tree()
        origin, size, events = tree.log_state(connection)
        assert size == events
        hashes = leaf_hashes(connection)
        assert len(hashes) == size
        stored = connection.execute("SELECT level, number, hashes FROM tiles").fetchall()
        assert {(level, number): found for level, number, found in stored} == tiles_over(hashes)
        root = mth(hashes)
        assert tree.root(connection, size) == root
        note = read_kept(connection)
    if not keys:
        assert note is None
        return None
    assert note is not None
    for key in keys:
        assert open_checkpoint(note, [key]) == Checkpoint(origin, size, root)
    return Checkpoint(origin, size, root)


def wait_until_signed(ledger: Ledger) -> float:
    """Waits until all events are signed; returns the seconds."""
    begin = time.monotonic()
    while time.monotonic() < begin + 30:
        _, size, events = log_state(ledger)
        note = kept(ledger)
        if size == events and note is not None and Checkpoint.parse(note.text).size == size:
            return time.monotonic() - begin
        time.sleep(0.02)
    pytest.fail("not signed within 30 s")
