"""A ledger, an independent witness, and an attacker who controls everything else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from jobledger.infra.proof.audit.audit import audit
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.algorithms import COSIGNATURE
from jobledger.infra.proof.signing.checkpoints import open_checkpoint
from jobledger.infra.proof.signing.keys import find_keys, keys_folder, last_signed_file
from jobledger.infra.proof.signing.signer import read_kept
from jobledger.infra.settings import Settings

from tests.desks import Desk
from tests.proof.test_witness import Log, running

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("signing_in_background")]


def test_a_witness_exposes_a_consistent_rewrite(desk: Desk, tmp_path: Path) -> None:
    with desk.ledger.connection() as connection:
        origin = Tree().log_state(connection).origin
    [signing] = find_keys(Settings(), origin)
    keys = [signing.verifier]
    with running(tmp_path, Log(signing)) as witness:
        policy = tmp_path / "policy"
        policy.write_text(
            f"log {keys[0]}\nwitness w {witness.key} {witness.url}\nquorum w\n", "utf-8"
        )
        desk.monkeypatch.setenv("JOBLEDGER_POLICY", str(policy))
        desk.monkeypatch.setenv("JOBLEDGER_PUBLISH", str(tmp_path / "published"))
        for number in range(5):
            assert desk.run("record", f"projects/p/jobs/j{number}", "Created") == 0
        with desk.ledger.connection() as connection:
            note = read_kept(connection)
            assert note is not None
            assert open_checkpoint(note, keys).size == 5
            cosigned = note.signed_by([witness.key])
            assert [key.type for key, _ in cosigned] == [COSIGNATURE]
            assert (tmp_path / "published" / "checkpoint").read_text() == str(note)
            found = audit(connection, Settings())
            assert (found.findings, found.checkpoints) == ([], 4)

        # Everything is rewritten consistently, with the log's own key; the witness is out of reach.
        desk.attack("UPDATE events SET actor = 'nobody' WHERE position = 2")
        desk.attack("DELETE FROM tiles")
        desk.attack("DELETE FROM checkpoints")
        desk.attack("UPDATE log SET size = 0")
        last_signed_file(Settings(), origin).unlink()
        shutil.rmtree(tmp_path / "published")
        assert desk.run("record", "projects/p/jobs/new", "Created") == 0
        with desk.ledger.connection() as connection:
            forged = read_kept(connection)
            assert forged is not None
            assert forged.signed_by([witness.key]) == []  # It would not.
            [finding] = audit(connection, Settings()).findings
            assert (finding.kind, finding.position) == ("forked", 1)
            assert "witness" in finding.detail
        assert desk.run("verify", "--proof") == 1
        desk.monkeypatch.delenv("JOBLEDGER_POLICY")
        assert (
            desk.run("verify", "--proof") == 0
        )  # Without the witness, the ledger cannot detect it.


def test_an_unreachable_witness_does_not_delay_writes(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with desk.ledger.connection() as connection:
        origin = Tree().log_state(connection).origin
    [key] = find_keys(Settings(), origin)
    with running(tmp_path, Log(key)) as witness:
        policy = tmp_path / "policy"
        policy.write_text(f"witness w {witness.key} {witness.url}\nquorum w\n", "utf-8")
    desk.monkeypatch.setenv("JOBLEDGER_POLICY", str(policy))
    assert desk.run("record", "projects/p/jobs/a", "Created") == 0
    assert "the witnesses are not the policy's quorum: none cosigned" in caplog.messages
    with desk.ledger.connection() as connection:
        note = read_kept(connection)
    assert note is not None
    assert open_checkpoint(note, [key.verifier]).size == 1
    assert desk.run("verify", "--proof") == 0


def test_an_invalid_policy_is_refused_at_start(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy").write_text("witness w nonsense\n")
    desk.monkeypatch.setenv("JOBLEDGER_POLICY", str(tmp_path / "policy"))
    assert desk.run("record", "projects/p/jobs/a", "Created") == 1
    assert capsys.readouterr().err.startswith("jobledger: policy: line 1: ")
    assert keys_folder(Settings()).is_dir()
