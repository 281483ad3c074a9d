"""Truncated, changed and damaged databases are not signed."""

from __future__ import annotations

import logging
import threading
from typing import Final

import psycopg
import pytest
from jobledger.infra import Ledger
from jobledger.infra.errors import ForkedError, ProofError
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.publishing.checkpointer import Checkpointer
from jobledger.infra.proof.signing.keys import last_signed_file
from jobledger.infra.settings import Settings

from tests.signing import (
    NAME,
    assert_signed,
    kept,
    log_state,
    many,
    new_key,
    sign,
    signed,
)

pytestmark = pytest.mark.usefixtures("home")


def cut(connection: Connection, size: int) -> None:
    """As if an older backup was played in, of less than a tile."""
    connection.execute("SET session_replication_role = replica")
    connection.execute("DELETE FROM checkpoints WHERE size > %s", (size,))
    connection.execute("DELETE FROM events WHERE position > %s", (size,))
    connection.execute("UPDATE head SET size = %s", (size,))
    connection.execute("UPDATE log SET size = %s", (size,))
    connection.execute("UPDATE tiles SET hashes = substr(hashes, 1, %s)", (size * 32,))
    connection.execute("SET session_replication_role = DEFAULT")


def change(connection: Connection) -> None:
    """Another event, and a tree to match: what only a checkpoint elsewhere can tell."""
    connection.execute("SET session_replication_role = replica")
    connection.execute("UPDATE events SET actor = 'nobody' WHERE position = 3")
    connection.execute("DELETE FROM tiles")
    connection.execute("UPDATE log SET size = 0")
    connection.execute("SET session_replication_role = DEFAULT")


def assert_refused(ledger: Ledger, kind: str, caplog: pytest.LogCaptureFixture) -> ForkedError:
    """Checks that nothing is signed, stored or published; in the background it is logged."""
    path = last_signed_file(Settings(), log_state(ledger).origin)
    before = path.read_text() if path.exists() else None, kept(ledger)
    published = path.parent / "published"
    signer = Checkpointer(ledger.conninfo, Settings(publish=str(published)))
    ended = threading.Event()
    ended.set()
    for _ in range(2):
        with pytest.raises(ForkedError) as caught:
            signer.checkpoint()
        assert caught.value.kind == kind
    with caplog.at_level(logging.ERROR, "jobledger.proof"):
        signer.checkpoint_in_background(ended)
    assert [record.getMessage() for record in caplog.records] == [f"no checkpoint: {caught.value}"]
    assert (path.read_text() if path.exists() else None, kept(ledger)) == before
    signer.close()
    assert not published.exists()
    return caught.value


@pytest.mark.plain_server
def test_a_truncated_database_is_not_signed(
    quiet: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    new_key(quiet)
    quiet.append_many(many(10))
    signed(quiet)
    with quiet.connection() as connection:
        cut(connection, 6)
    error = assert_refused(quiet, "rolled back", caplog)
    assert error.position == 6
    assert "10 events" in str(error)


@pytest.mark.plain_server
def test_a_truncated_database_with_new_events_is_not_signed(
    dsn: str, quiet: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    new_key(quiet)
    quiet.append_many(many(10))
    signed(quiet)
    with quiet.connection() as connection:
        cut(connection, 6)
    quiet.close()
    with Ledger.open(dsn, quiet.name) as ledger:
        ledger.append_many(many(10, "other"))
        error = assert_refused(ledger, "forked", caplog)
        assert error.position == 10


@pytest.mark.slow
@pytest.mark.plain_server
@pytest.mark.parametrize("forget", [False, True])
def test_a_changed_database_is_not_signed(
    quiet: Ledger, caplog: pytest.LogCaptureFixture, forget: bool
) -> None:
    """Also on a machine that never signed: then the database's own checkpoint speaks against it."""
    new_key(quiet)
    quiet.append_many(many(10))
    signed(quiet)
    with quiet.connection() as connection:
        change(connection)
    if forget:
        last_signed_file(Settings(), log_state(quiet).origin).unlink()
    assert_refused(quiet, "forked", caplog)


@pytest.mark.plain_server
def test_a_tree_does_not_grow_over_missing_events(quiet: Ledger) -> None:
    quiet.append_many(many(10))
    with quiet.connection() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM events WHERE position = 7")
    with pytest.raises(ForkedError, match="no event at position 7") as caught:
        sign(quiet)
    assert caught.value.kind == "rolled back"
    assert log_state(quiet).size == 0


@pytest.mark.slow
@pytest.mark.plain_server
@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM tiles WHERE level = 0 AND number = 1",
        "UPDATE tiles SET hashes = substr(hashes, 1, 32) WHERE level = 0 AND number = 1",
        "DELETE FROM tiles WHERE level = 1",
    ],
)
def test_a_tree_with_a_damaged_tile_neither_grows_nor_is_signed(quiet: Ledger, damage: str) -> None:
    new_key(quiet)
    quiet.append_many(many(300))
    note = signed(quiet)
    with quiet.connection() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(damage.encode())
    for number in range(2):
        with pytest.raises(ForkedError, match="is damaged"):
            sign(quiet)
        quiet.create(f"{NAME}{number}")
    assert log_state(quiet).size == 300
    assert kept(quiet) == note


def test_signing_stops_at_a_foreign_or_damaged_last_checkpoint(
    quiet: Ledger,
) -> None:
    new_key(quiet)
    signed(quiet)
    path = last_signed_file(Settings(), log_state(quiet).origin)
    whole = path.read_text()
    for damage in (whole.replace("jobledger/", "other/"), whole[:-1], "", "\0"):
        path.write_text(damage)
        quiet.create(f"{NAME}{len(damage)}")
        with pytest.raises(ProofError):
            sign(quiet)
        assert path.read_text() == damage
    path.write_text(whole)
    signed(quiet)


REFUSED: Final = (
    "UPDATE log SET size = size - 1",
    "UPDATE log SET origin = 'another'",
    "DELETE FROM log",
    "TRUNCATE log",
    "UPDATE tiles SET hashes = substr(hashes, 1, 32)",
    "UPDATE tiles SET hashes = hashes || hashes, number = number + 1000",
    "UPDATE tiles SET hashes = decode(repeat('00', 64), 'hex')",
    "UPDATE tiles SET level = 1, key = NULL",
    "UPDATE tiles SET key = decode(repeat('00', 32), 'hex')",
    "DELETE FROM tiles",
    "TRUNCATE tiles",
    "UPDATE checkpoints SET size = size - 1",
    "UPDATE checkpoints SET hour = hour - interval '1 hour'",
    "DELETE FROM checkpoints",
    "TRUNCATE checkpoints",
    "UPDATE events SET actor = 'nobody'",
    "DELETE FROM events",
    "TRUNCATE events",
)


@pytest.mark.plain_server
def test_the_signed_size_never_shrinks(quiet: Ledger) -> None:
    key = new_key(quiet)
    quiet.append_many(many(2))
    signed(quiet)
    with quiet.connection() as connection:
        for statement in REFUSED:
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(statement.encode())
    assert_signed(quiet, key.verifier)


def test_an_older_checkpoint_does_not_replace_a_newer_one(quiet: Ledger) -> None:
    new_key(quiet)
    quiet.append_many(many(2))
    note = signed(quiet)
    with quiet.connection() as connection:
        connection.execute("SELECT keep_checkpoint(1, 'older')")
    assert kept(quiet) == note
