"""Signing on a real ledger: the tree grows over all events, and only one history is signed."""

from __future__ import annotations

import ast
import hashlib
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg
import pytest
from jobledger.domain.events import Created, Event
from jobledger.domain.proof import leaves, merkle
from jobledger.domain.proof.leaves import Entry
from jobledger.infra import Ledger
from jobledger.infra.errors import ForkedError, ProofError
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.postgres.migrate import Right
from jobledger.infra.proof.log import growth as growing
from jobledger.infra.proof.log.leaves import copy_rows
from jobledger.infra.proof.log.tree import LogState, Tree
from jobledger.infra.proof.publishing import checkpointer
from jobledger.infra.proof.publishing import checkpointer as sealing
from jobledger.infra.proof.publishing.checkpointer import GROWTH, WAIT_FOR_GROWTH, Checkpointer
from jobledger.infra.proof.signing.checkpoints import Checkpoint, open_checkpoint
from jobledger.infra.proof.signing.keys import create_key, key_file, last_signed_file, retire_keys
from jobledger.infra.proof.signing.notes import Note, SigningKey, VerifierKey
from jobledger.infra.proof.signing.signer import read_kept
from jobledger.infra.settings import Settings

from tests.ledgers import application_of

BEGIN: Final = datetime(2026, 6, 1, tzinfo=UTC)
NAME: Final = "projects/p/jobs/one"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without the machine's keys."""
    monkeypatch.setenv("JOBLEDGER_HOME", str(tmp_path))
    monkeypatch.delenv("JOBLEDGER_SIGNING_KEY", raising=False)
    monkeypatch.delenv("JOBLEDGER_SEAL", raising=False)
    return tmp_path


@pytest.fixture
def quiet(dsn: str, ledger_name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A ledger that only the test signs."""
    monkeypatch.setenv("JOBLEDGER_SEAL", "false")
    with Ledger.open(dsn, ledger_name) as opened:
        yield opened


def log_state(ledger: Ledger) -> LogState:
    with ledger.connection() as connection:
        return Tree().log_state(connection)


def new_key(ledger: Ledger) -> SigningKey:
    return create_key(Settings(), log_state(ledger).origin)


def kept(ledger: Ledger) -> Note | None:
    """The last checkpoint in the database."""
    with ledger.connection() as connection:
        return read_kept(connection)


def seal(ledger: Ledger) -> Note | None:
    with closing(Checkpointer(ledger.conninfo, Settings())) as sealer:
        return sealer.checkpoint()


def sealed(ledger: Ledger) -> Note:
    note = seal(ledger)
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


def assert_sealed(ledger: Ledger, *keys: VerifierKey) -> Checkpoint | None:
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


def wait_until_sealed(ledger: Ledger) -> float:
    """Waits until all events are signed; returns the seconds."""
    begin = time.monotonic()
    while time.monotonic() < begin + 30:
        _, size, events = log_state(ledger)
        note = kept(ledger)
        if size == events and note is not None and Checkpoint.parse(note.text).size == size:
            return time.monotonic() - begin
        time.sleep(0.02)
    pytest.fail("not sealed within 30 s")


def test_events_are_signed_within_a_second(ledger: Ledger) -> None:
    key = new_key(ledger)
    ledger.create(NAME)
    taken = [wait_until_sealed(ledger)]
    for number in range(3):
        ledger.progress_reported(NAME, {"n": number})
        taken.append(wait_until_sealed(ledger))
        assert_sealed(ledger, key.verifier)
    # Half a second it waits for more; the best of them says what the machine can do.
    assert min(taken) < 2


def test_remaining_events_are_signed_when_the_ledger_is_closed(dsn: str, ledger_name: str) -> None:
    with Ledger.open(dsn, ledger_name) as ledger:
        key = new_key(ledger)
        ledger.create(NAME)
        ledger.started(NAME)
    with Ledger.open(dsn, ledger_name) as ledger:
        assert_sealed(ledger, key.verifier)


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
        assert_sealed(ledger)


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
        sealed(quiet)
        assert_sealed(quiet, key.verifier)


def test_a_signed_tree_is_not_signed_again(quiet: Ledger) -> None:
    new_key(quiet)
    first = sealed(quiet)
    assert Checkpoint.parse(first.text).size == 0
    assert seal(quiet) is None
    quiet.create(NAME)
    second = sealed(quiet)
    assert seal(quiet) is None
    assert kept(quiet) == second != first


def test_proofs_from_the_tiles_verify(quiet: Ledger) -> None:
    quiet.append_many(many(600))
    seal(quiet)
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
        assert_sealed(ledger)
        assert list(home.rglob("*.checkpoint")) == []


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


def test_concurrent_signers_keep_one_history(quiet: Ledger) -> None:
    key = new_key(quiet)
    sealers = [Checkpointer(quiet.conninfo, Settings()) for _ in range(4)]

    def race(sealer: Checkpointer) -> list[Note]:
        notes = []
        for _ in range(15):
            note = sealer.checkpoint()
            if note is not None:
                notes.append(note)
        return notes

    def write(number: int) -> None:
        for batch in range(8):
            quiet.append_many(many(97, f"w{number}b{batch}x"))

    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(write, number) for number in range(2)]
        racers = [pool.submit(race, sealer) for sealer in sealers]
        for writer in writers:
            writer.result(60)
        notes = [note for racer in racers for note in racer.result(60)]
    for sealer in sealers:
        sealer.close()
    seal(quiet)
    assert_sealed(quiet, key.verifier)
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
sealer = Checkpointer(sys.argv[1], Settings())
print("ready", flush=True)
for line in sys.stdin:
    note = sealer.checkpoint()
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
    said = []
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
        said += process.communicate(timeout=60)[0].splitlines()
        assert process.returncode == 0
    seal(quiet)
    assert_sealed(quiet, key.verifier)
    assert len(said) == 16
    assert_one_history(
        quiet, [Note.parse(ast.literal_eval(line)) for line in said if line != "none"]
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
    before = Checkpoint.parse(sealed(quiet).text)
    quiet.close()

    died = subprocess.run([sys.executable, "-c", DYING, dsn, quiet.name, place], timeout=60)
    assert died.returncode == -signal.SIGKILL

    with Ledger.open(dsn, quiet.name) as ledger:
        assert ledger.size() == 301
        seal(ledger)
        now = assert_sealed(ledger, key.verifier)
        assert now is not None
        assert now.size == 301
        with ledger.connection() as connection:
            proof = Tree().prove_consistency(connection, before.size, now.size)
        assert merkle.is_consistent(before.size, now.size, before.root, now.root, proof)
        assert seal(ledger) is None


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
    sealer = Checkpointer(ledger.conninfo, Settings(publish=str(published)))
    ended = threading.Event()
    ended.set()
    for _ in range(2):
        with pytest.raises(ForkedError) as caught:
            sealer.checkpoint()
        assert caught.value.kind == kind
    with caplog.at_level(logging.ERROR, "jobledger.proof"):
        sealer.checkpoint_in_background(ended)
    assert [record.getMessage() for record in caplog.records] == [f"no checkpoint: {caught.value}"]
    assert (path.read_text() if path.exists() else None, kept(ledger)) == before
    sealer.close()
    assert not published.exists()
    return caught.value


def test_a_truncated_database_is_not_signed(
    quiet: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    new_key(quiet)
    quiet.append_many(many(10))
    sealed(quiet)
    with quiet.connection() as connection:
        cut(connection, 6)
    error = assert_refused(quiet, "rolled back", caplog)
    assert error.position == 6
    assert "10 events" in str(error)


def test_a_truncated_database_with_new_events_is_not_signed(
    dsn: str, quiet: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    new_key(quiet)
    quiet.append_many(many(10))
    sealed(quiet)
    with quiet.connection() as connection:
        cut(connection, 6)
    quiet.close()
    with Ledger.open(dsn, quiet.name) as ledger:
        ledger.append_many(many(10, "other"))
        error = assert_refused(ledger, "forked", caplog)
        assert error.position == 10


@pytest.mark.parametrize("forget", [False, True])
def test_a_changed_database_is_not_signed(
    quiet: Ledger, caplog: pytest.LogCaptureFixture, forget: bool
) -> None:
    """Also on a machine that never signed: then the database's own checkpoint speaks against it."""
    new_key(quiet)
    quiet.append_many(many(10))
    sealed(quiet)
    with quiet.connection() as connection:
        change(connection)
    if forget:
        last_signed_file(Settings(), log_state(quiet).origin).unlink()
    assert_refused(quiet, "forked", caplog)


def test_a_tree_does_not_grow_over_missing_events(quiet: Ledger) -> None:
    quiet.append_many(many(10))
    with quiet.connection() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM events WHERE position = 7")
    with pytest.raises(ForkedError, match="no event at position 7") as caught:
        seal(quiet)
    assert caught.value.kind == "rolled back"
    assert log_state(quiet).size == 0


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
    note = sealed(quiet)
    with quiet.connection() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(damage.encode())
    for number in range(2):
        with pytest.raises(ForkedError, match="is damaged"):
            seal(quiet)
        quiet.create(f"{NAME}{number}")
    assert log_state(quiet).size == 300
    assert kept(quiet) == note


def test_signing_stops_at_a_foreign_or_damaged_last_checkpoint(
    quiet: Ledger,
) -> None:
    new_key(quiet)
    sealed(quiet)
    path = last_signed_file(Settings(), log_state(quiet).origin)
    whole = path.read_text()
    for damage in (whole.replace("jobledger/", "other/"), whole[:-1], "", "\0"):
        path.write_text(damage)
        quiet.create(f"{NAME}{len(damage)}")
        with pytest.raises(ProofError):
            seal(quiet)
        assert path.read_text() == damage
    path.write_text(whole)
    sealed(quiet)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(quiet: Ledger, mode: int) -> None:
    new_key(quiet)
    path = key_file(Settings(), log_state(quiet).origin)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(mode)
    quiet.create(NAME)
    with pytest.raises(ProofError, match="can be read by others") as caught:
        seal(quiet)
    assert caught.value.what == "key"
    assert kept(quiet) is None
    path.chmod(0o600)
    sealed(quiet)


def test_key_files_are_readable_by_their_owner_only(quiet: Ledger, home: Path) -> None:
    new_key(quiet)
    sealed(quiet)
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".key", ".checkpoint", ".lock", ".origin"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert (home / "keys").stat().st_mode & 0o077 == 0


def test_a_key_in_the_environment_overrides_the_file(
    quiet: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = log_state(quiet).origin
    in_file, given = new_key(quiet), SigningKey.generate(origin)
    other = SigningKey.generate("example.com/other")
    monkeypatch.setenv("JOBLEDGER_SIGNING_KEY", f"{other.secret}\n{given.secret}")
    quiet.create(NAME)
    note = sealed(quiet)
    assert [(each.name, each.key_id) for each in note.signatures] == [(origin, given.verifier.id)]
    assert_sealed(quiet, given.verifier)
    with pytest.raises(ProofError):
        open_checkpoint(note, [in_file.verifier])
    assert given.secret not in repr(Settings())


def test_a_key_of_another_log_signs_nothing(quiet: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    key = SigningKey.generate("example.com/other")
    monkeypatch.setenv("JOBLEDGER_SIGNING_KEY", key.secret)
    quiet.create(NAME)
    assert seal(quiet) is None
    assert_sealed(quiet)

    monkeypatch.delenv("JOBLEDGER_SIGNING_KEY")
    new_key(quiet)
    path = key_file(Settings(), log_state(quiet).origin)
    path.write_text(key.secret)
    with pytest.raises(ProofError, match=r"example\.com/other"):
        seal(quiet)


def test_both_keys_sign_during_a_rotation(quiet: Ledger) -> None:
    first = new_key(quiet)
    quiet.create(NAME)
    assert len(sealed(quiet).signatures) == 1
    second = new_key(quiet)
    # Nothing was written; but one of the keys has not signed yet.
    assert len(sealed(quiet).signatures) == 2
    assert_sealed(quiet, first.verifier, second.verifier)
    assert seal(quiet) is None

    quiet.started(NAME)
    assert len(sealed(quiet).signatures) == 2
    assert_sealed(quiet, first.verifier, second.verifier)

    assert retire_keys(Settings(), log_state(quiet).origin) == [first]
    quiet.succeeded(NAME)
    note = sealed(quiet)
    assert [each.key_id for each in note.signatures] == [second.verifier.id]
    assert_sealed(quiet, second.verifier)


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


def test_the_signed_size_never_shrinks(quiet: Ledger) -> None:
    key = new_key(quiet)
    quiet.append_many(many(2))
    sealed(quiet)
    with quiet.connection() as connection:
        for statement in REFUSED:
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(statement.encode())
    assert_sealed(quiet, key.verifier)


def test_the_tree_grows_only_from_where_it_is_and_over_what_is_there(quiet: Ledger) -> None:
    quiet.append_many(many(2))
    seal(quiet)
    grow = "SELECT grow_log(%s, %s, ARRAY[0]::smallint[], ARRAY[0]::bigint[], %s, ARRAY[NULL]::bytea[])"
    with quiet.connection() as connection:
        for old, new in ((1, 2), (0, 2), (2, 3), (3, 4), (2, 1)):
            try:
                row = connection.execute(grow, (old, new, [bytes(32)])).fetchone()
            except psycopg.errors.RestrictViolation:
                continue
            assert row == (False,)
    assert_sealed(quiet)


def test_an_older_checkpoint_does_not_replace_a_newer_one(quiet: Ledger) -> None:
    new_key(quiet)
    quiet.append_many(many(2))
    note = sealed(quiet)
    with quiet.connection() as connection:
        connection.execute("SELECT keep_checkpoint(1, 'older')")
    assert kept(quiet) == note


def test_a_signing_role_can_sign_and_nothing_else(dsn: str, ledger: Ledger) -> None:
    key = new_key(ledger)
    with application_of(dsn, ledger, right=Right.SIGN) as application:
        application.create(NAME)
        application.append_many(many(300))
        wait_until_sealed(application)
        assert_sealed(application, key.verifier)
        with application.connection() as connection:
            for statement in (
                "UPDATE log SET size = size + 1",
                "UPDATE tiles SET hashes = hashes || hashes WHERE number = 1",
                "INSERT INTO tiles (level, number, hashes) VALUES (0, 9, decode(repeat('00', 32), 'hex'))",
                "INSERT INTO checkpoints (hour, size, note, signed_time) VALUES (now(), 1, 'x', now())",
                "DELETE FROM checkpoints",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
