"""Keys that sign the log: their files, the environment, rotation, and rights."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from jobledger.infra import Ledger
from jobledger.infra.errors import ProofError
from jobledger.infra.postgres.grants import Right
from jobledger.infra.proof.signing.checkpoints import open_checkpoint
from jobledger.infra.proof.signing.keys import key_file, retire_keys
from jobledger.infra.proof.signing.notes import SigningKey
from jobledger.infra.settings import Settings

from tests.ledgers import application_of
from tests.signing import (
    NAME,
    assert_signed,
    kept,
    log_state,
    many,
    new_key,
    sign,
    signed,
    wait_until_signed,
)

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.slow
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(quiet: Ledger, mode: int) -> None:
    new_key(quiet)
    path = key_file(Settings(), log_state(quiet).origin)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(mode)
    quiet.create(NAME)
    with pytest.raises(ProofError, match="can be read by others") as caught:
        sign(quiet)
    assert caught.value.what == "key"
    assert kept(quiet) is None
    path.chmod(0o600)
    signed(quiet)


def test_key_files_are_readable_by_their_owner_only(quiet: Ledger, home: Path) -> None:
    new_key(quiet)
    signed(quiet)
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {
        ".key",
        ".checkpoint",
        ".database",
        ".lock",
        ".origin",
    }
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
    note = signed(quiet)
    assert [(each.name, each.key_id) for each in note.signatures] == [(origin, given.verifier.id)]
    assert_signed(quiet, given.verifier)
    with pytest.raises(ProofError):
        open_checkpoint(note, [in_file.verifier])
    assert given.secret not in repr(Settings())


def test_a_key_of_another_log_signs_nothing(quiet: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    key = SigningKey.generate("example.com/other")
    monkeypatch.setenv("JOBLEDGER_SIGNING_KEY", key.secret)
    quiet.create(NAME)
    assert sign(quiet) is None
    assert_signed(quiet)

    monkeypatch.delenv("JOBLEDGER_SIGNING_KEY")
    new_key(quiet)
    path = key_file(Settings(), log_state(quiet).origin)
    path.write_text(key.secret)
    with pytest.raises(ProofError, match=r"example\.com/other"):
        sign(quiet)


@pytest.mark.slow
def test_both_keys_sign_during_a_rotation(quiet: Ledger) -> None:
    first = new_key(quiet)
    quiet.create(NAME)
    assert len(signed(quiet).signatures) == 1
    second = new_key(quiet)
    # Nothing was written; but one of the keys has not signed yet.
    assert len(signed(quiet).signatures) == 2
    assert_signed(quiet, first.verifier, second.verifier)
    assert sign(quiet) is None

    quiet.started(NAME)
    assert len(signed(quiet).signatures) == 2
    assert_signed(quiet, first.verifier, second.verifier)

    assert retire_keys(Settings(), log_state(quiet).origin) == [first]
    quiet.succeeded(NAME)
    note = signed(quiet)
    assert [each.key_id for each in note.signatures] == [second.verifier.id]
    assert_signed(quiet, second.verifier)


@pytest.mark.slow
def test_a_signing_role_can_sign_and_nothing_else(dsn: str, ledger: Ledger) -> None:
    key = new_key(ledger)
    with application_of(dsn, ledger, right=Right.SIGN) as application:
        application.create(NAME)
        application.append_many(many(300))
        wait_until_signed(application)
        assert_signed(application, key.verifier)
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
