"""ML-DSA-44 beside Ed25519: keys, logs, witnesses and policies; and algorithms that are not known."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from jobledger.infra.errors import ProofError, UnknownAlgorithmError
from jobledger.infra.proof.audit.audit import audit
from jobledger.infra.proof.signing.algorithms import (
    ALGORITHMS,
    COSIGNATURE,
    ML_DSA_44,
    SIGNATURE,
)
from jobledger.infra.proof.signing.checkpoints import Checkpoint, open_checkpoint, signed_time
from jobledger.infra.proof.signing.keys import create_key, find_keys, retire_keys
from jobledger.infra.proof.signing.notes import Note, SigningKey, VerifierKey
from jobledger.infra.proof.signing.policy import Policy
from jobledger.infra.settings import Settings

from tests.desks import Desk

TEXT = Checkpoint("example.com/log", 7, bytes(range(32))).text
TIME = 1_700_000_000


@pytest.mark.parametrize("type_", ALGORITHMS)
def test_a_key_verifies_only_its_own_signatures(type_: int) -> None:
    key, other = (SigningKey.generate("example.com/log", type_) for _ in range(2))
    verifier = VerifierKey.parse(str(key.verifier))
    assert SigningKey.parse(key.secret) == key
    made = key.sign(TEXT, TIME).made
    assert verifier.verifies(made, TEXT)
    assert not other.verifier.verifies(made, TEXT)
    assert not verifier.verifies(made, TEXT.replace("\n7\n", "\n8\n"))
    assert not verifier.verifies(made.replace(made[-1:], bytes([made[-1] ^ 1])), TEXT)
    assert not verifier.verifies(made[:-1], TEXT)
    assert not verifier.verifies(b"", TEXT)
    assert not verifier.verifies(made, "no checkpoint\n")


def test_the_message_of_ml_dsa_is_the_one_of_the_specification() -> None:
    message = ALGORITHMS[ML_DSA_44].message("w", 5, TEXT)
    assert message == (
        b"subtree/v1\n\0" + b"\x01w" + (5).to_bytes(8) + b"\x0fexample.com/log"
        + bytes(8) + (7).to_bytes(8) + bytes(range(32))
    )  # fmt: skip


@pytest.mark.slow
def test_a_log_signs_with_both_until_one_is_retired(desk: Desk) -> None:
    with desk.ledger.connection() as connection:
        origin = connection.execute("SELECT origin FROM log").fetchone()[0]  # type: ignore[index]
    [old] = find_keys(Settings(), origin)
    new = create_key(Settings(), origin, ML_DSA_44)
    desk.ledger.create("projects/p/jobs/j")
    note = desk.ledger.seal()
    assert note is not None
    for key in (old, new):
        assert open_checkpoint(note, [key.verifier]).size == 1
    assert retire_keys(Settings(), origin) == [old]
    desk.ledger.started("projects/p/jobs/j")
    note = desk.ledger.seal()
    assert note is not None
    assert open_checkpoint(note, [new.verifier]).size == 2
    assert abs((signed_time(note.text) or 0) - note.signatures[0].time) <= 1
    assert desk.ledger.receipt("projects/p/jobs/j").verify([new.verifier])[0].size == 2
    with desk.ledger.connection() as connection:
        assert audit(connection, Settings()).ok


def test_a_witness_of_ml_dsa_counts_for_a_quorum() -> None:
    log = SigningKey.generate("example.com/log")
    witness = SigningKey.generate("example.com/w", ML_DSA_44)
    policy = Policy.parse(f"log {log.verifier}\nwitness w {witness.verifier}\nquorum w\n")
    note = Note(TEXT, (log.sign(TEXT),))
    with pytest.raises(ProofError):
        policy.check(note)
    assert policy.check(note.with_signatures([witness.sign(TEXT, TIME)])).size == 7


def unknown(name: str) -> str:
    return f"{name}+01234567+{base64.b64encode(bytes([0x7F]) * 60).decode()}"


def test_an_unknown_algorithm_is_skipped_if_the_quorum_does_not_need_it() -> None:
    log, known = (
        SigningKey.generate(f"example.com/{n}", t)
        for n, t in (("log", SIGNATURE), ("w", COSIGNATURE))
    )
    lines = f"log {log.verifier}\nlog {unknown('other')}\nwitness w {known.verifier}\nwitness x {unknown('x')}\n"
    note = Note(TEXT, (log.sign(TEXT), known.sign(TEXT, TIME)))
    for enough in ("quorum w\n", "group g any w x\nquorum g\n", "quorum none\n"):
        assert Policy.parse(lines + enough).check(note).size == 7
    for too_much in ("quorum x\n", "group g all w x\nquorum g\n"):
        with pytest.raises(ProofError, match="'x'"):
            Policy.parse(lines + too_much)
    with pytest.raises(ProofError, match="'other'"):
        Policy.parse(f"log {unknown('other')}\nquorum none\n")
    with pytest.raises(UnknownAlgorithmError):
        VerifierKey.parse(unknown("x"))


def test_the_command_line_makes_a_key_of_either(desk: Desk, tmp_path: Path) -> None:
    assert desk.run("log", "rotate-key", "--algorithm", "ml-dsa-44") == 0
    assert desk.run("log", "rotate-key", "--algorithm", "rsa") != 0
