"""Policy files by C2SP tlog-policy: examples, and invalid ones."""

from __future__ import annotations

import hashlib
from itertools import count, product
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobledger.infra.errors import ProofError
from jobledger.infra.proof.signing.algorithms import COSIGNATURE
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import Note, SigningKey
from jobledger.infra.proof.signing.policy import Known, Policy

LOG: Final = SigningKey.generate("example.com/log")
OTHER: Final = SigningKey.generate("example.com/other")
NAMES: Final = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
WITNESSES: Final = {
    name: SigningKey.generate(f"{name.lower()}.example.com", COSIGNATURE) for name in NAMES
}
X1: Final = WITNESSES["X1"].verifier
EXAMPLE: Final = "\n".join([
    f"log {LOG.verifier}",
    "",
    *(f"witness {name} {key.verifier}" for name, key in WITNESSES.items()),
    "group X-witnesses 2 X1 X2 X3",
    "group Y-witnesses any Y1 Y2 Y3",
    "group X-and-Y all X-witnesses Y-witnesses",
    "quorum X-and-Y",
    "",
])  # fmt: skip
CHECKPOINT: Final = Checkpoint("example.com/log", 7, hashlib.sha256(b"root").digest())


def signed(*keys: SigningKey) -> Note:
    return Note(CHECKPOINT.text, tuple(key.sign(CHECKPOINT.text, 1_800_000_000) for key in keys))


def refused(text: str, line: int) -> str:
    with pytest.raises(ProofError) as caught:
        Policy.parse(text)
    entries = str(caught.value)
    assert entries.startswith(f"policy: line {line}: ")
    assert entries.isprintable()
    assert len(entries) < 300
    return entries


def test_the_quorum_of_the_specifications_example() -> None:
    policy = Policy.parse(EXAMPLE)
    for there in product([False, True], repeat=6):
        cosigned = [name for name, is_there in zip(NAMES, there, strict=True) if is_there]
        assert policy.is_met(WITNESSES[name].verifier for name in cosigned) is (
            sum(there[:3]) >= 2 and sum(there[3:]) >= 1
        )


def test_a_checkpoint_needs_the_logs_signature_and_the_quorum() -> None:
    policy = Policy.parse(EXAMPLE)
    quorum = [WITNESSES[name] for name in ("X1", "X3", "Y2")]
    assert policy.check(signed(LOG, *quorum)) == CHECKPOINT
    with pytest.raises(ProofError, match="none of the known keys"):
        policy.check(signed(OTHER, *quorum))
    with pytest.raises(ProofError, match="the quorum 'X-and-Y' has not cosigned it"):
        policy.check(signed(LOG, *quorum[1:]))
    with pytest.raises(ProofError, match="none of them"):
        policy.check(signed(LOG))


def test_an_invalid_cosignature_of_a_known_witness_refuses_the_note() -> None:
    policy = Policy.parse(EXAMPLE)
    good = signed(LOG, *WITNESSES.values())
    forged = good.signatures[-1]._replace(made=bytes(72))
    with pytest.raises(ProofError, match="is not valid"):
        policy.check(Note(good.text, (*good.signatures[:-1], forged)))


def test_witnesses_outside_the_policy_do_not_count() -> None:
    stranger = SigningKey.generate(X1.name, COSIGNATURE)
    policy = Policy.parse(f"log {LOG.verifier}\nwitness w {X1}\nquorum w\n")
    with pytest.raises(ProofError, match="quorum"):
        policy.check(signed(LOG, stranger))
    assert policy.check(signed(LOG, stranger, WITNESSES["X1"])) == CHECKPOINT


def test_bytes_beyond_ascii_are_accepted_and_a_carriage_return_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "policy"
    text = f"# NAME\nlog {LOG.verifier} https://x/NAME\nwitness NAME {X1}\nquorum NAME\n"
    for name in (b"\xff\xfe", b"Z\xfcrich", "Zürich".encode(), b"\xc2\x85\xe2\x80\xa8", b"\x80"):
        file.write_bytes(text.encode().replace(b"NAME", name))
        policy = Policy.read(file)
        assert policy.check(signed(LOG, WITNESSES["X1"])) == CHECKPOINT
        assert list(policy.witnesses) == [name.decode("utf-8", "surrogateescape")]
    file.write_bytes(text.encode().replace(b"\n", b"\r\n"))
    with pytest.raises(ProofError, match="line 1: contains a control character"):
        Policy.read(file)
    # Names are octets: a Kelvin sign is no K.
    file.write_bytes(f"witness K {X1}\nquorum \u212a\n".encode())
    with pytest.raises(ProofError, match=r"line 2: .* is not defined by a line before"):
        Policy.read(file)
    # The name within a key is text, as signed notes have it.
    file.write_bytes(f"log {LOG.verifier}\n".encode().replace(b"example", b"ex\xffample"))
    with pytest.raises(ProofError, match="is not the name of a key"):
        Policy.read(file)


def test_the_quorum_none_takes_a_log_alone() -> None:
    policy = Policy.parse(f"log {LOG.verifier}\nquorum none")
    assert policy.check(signed(LOG)) == CHECKPOINT
    assert policy.is_met([])


def test_a_policy_without_logs_has_a_quorum_and_trusts_no_log() -> None:
    policy = Policy.parse("quorum none\n")
    assert policy == Policy((), {}, {}, "none")
    with pytest.raises(ProofError, match="the known keys are of none"):
        policy.check(signed(LOG))


def test_addresses_comments_tabs_and_names_beyond_ascii_are_read() -> None:
    policy = Policy.parse(
        f" \t# who we believe \u2713\n\tlog\t {LOG.verifier} \thttps://log.example.com \t\n"
        f"#quorum none\nwitness \u212a\u00a0x {X1} http://w.example.com:8090/\n"
        f"witness K {WITNESSES['X2'].verifier}\nquorum \u212a\u00a0x"
    )
    assert policy.logs == (Known(LOG.verifier, "https://log.example.com"),)
    assert policy.witnesses == {
        "\u212a\u00a0x": Known(X1, "http://w.example.com:8090/"),
        "K": Known(WITNESSES["X2"].verifier, None),
    }
    assert policy.quorum == "\u212a\u00a0x"


def test_lines_after_the_quorum_belong_to_the_policy() -> None:
    assert Policy.parse(f"quorum none\nlog {LOG.verifier}\n").check(signed(LOG)) == CHECKPOINT


def test_groups_within_groups_of_any_depth_are_counted() -> None:
    groups = [f"group g{n + 1} any g{n}" for n in range(5_000)]
    text = "\n".join([f"witness w {X1}", "group g0 1 w", *groups, "quorum g5000"])
    assert Policy.parse(text).is_met([X1])
    assert not Policy.parse(text).is_met([WITNESSES["X2"].verifier])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, "ends without a quorum line"),
        ("# nothing\n", 2, "ends without a quorum line"),
        ("quorum", 1, "is not a line of a policy"),
        ("quorum none none", 1, "is not a line of a policy"),
        ("quorum none\nquorum none", 2, "a second quorum line"),
        ("quorum w", 1, "'w' is not defined by a line before"),
        (f"quorum w\nwitness w {X1}", 1, "'w' is not defined by a line before"),
        ("Quorum none", 1, "is not a line of a policy"),
        ("quorum none\r\n", 1, "control character"),
        ("\0quorum none", 1, "control character"),
        ("quorum none\x7f", 1, "control character"),
        ("quorum\u00a0none", 1, "is not a line of a policy"),
        ("log", 1, "is not a line of a policy"),
        ("log nonsense", 1, "is not a public key"),
        (f"log {str(LOG.verifier)[:-8]}", 1, "is n"),
        (f"log {X1}", 1, "is a witness's, not a log's"),
        (f"log {LOG.verifier} https://example.com more", 1, "is not a line of a policy"),
        (f"log {LOG.verifier}\nlog {LOG.verifier}", 2, "is given twice"),
        ("witness w", 1, "is not a line of a policy"),
        (f"witness {X1}", 1, "is not a line of a policy"),
        (f"witness none {X1}", 1, "is reserved"),
        (f"witness w {LOG.verifier}", 1, "is a log's, not a witness's"),
        (f"witness w {X1}\nwitness v {X1}", 2, "is given twice"),
        (f"witness w {X1}\nwitness w {WITNESSES['X2'].verifier}", 2, "is defined already"),
        (f"witness w {X1}\ngroup w any w", 2, "is defined already"),
        (f"witness w {X1}\ngroup none any w", 2, "is reserved"),
        (f"witness w {X1}\ngroup g any", 2, "is not a line of a policy"),
        (f"witness w {X1}\ngroup g any none", 2, "'none' is not defined by a line before"),
        (f"witness w {X1}\ngroup g any g", 2, "'g' is not defined by a line before"),
        (f"witness w {X1}\ngroup g 0 w", 2, "needs 1 to 1 of its members, not 0"),
        (f"witness w {X1}\ngroup g 2 w", 2, "needs 1 to 1 of its members, not 2"),
        (f"witness w {X1}\ngroup g -1 w", 2, "is not a whole number"),
        (f"witness w {X1}\ngroup g some w", 2, "is not a whole number"),
        (f"witness w {X1}\ngroup g \u0661 w", 2, "is not a whole number"),
        (f"witness w {X1}\ngroup g any w w", 2, "in a group already"),
        (f"witness w {X1}\ngroup g any w\ngroup h any w", 3, "in a group already"),
    ],
    ids=count(1),  # The keys among the texts are new in each run.
)
def test_an_invalid_policy_is_refused_with_its_line(text: str, line: int, why: str) -> None:
    assert why in refused(text, line)


@given(st.text())
def test_any_text_is_a_policy_or_is_refused_in_a_sentence(text: str) -> None:
    try:
        Policy.parse(text)
    except ProofError as error:
        assert error.what == "policy"
        assert str(error).isprintable()


def test_a_file_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy"
    with pytest.raises(ProofError, match=r"policy: .*cannot be read"):
        Policy.read(path)
    path.write_bytes(b"quorum none # \xff\n")
    with pytest.raises(ProofError, match="is not a line of a policy"):
        Policy.read(path)
    path.write_text(EXAMPLE)
    assert Policy.read(path) == Policy.parse(EXAMPLE)
