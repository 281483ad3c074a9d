"""Receipts on the command line: creation, offline verification, and damaged receipts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jobledger.infra.proof.receipts import Receipt
from jobledger.infra.proof.signing.algorithms import COSIGNATURE
from jobledger.infra.proof.signing.keys import find_keys, key_file
from jobledger.infra.proof.signing.notes import Note, SigningKey
from jobledger.infra.settings import Settings

from tests.desks import Desk

NAME = "projects/p/jobs/a"


class Handed(NamedTuple):
    """A receipt, the job's history, and the log's public key, as an auditor gets them."""

    desk: Desk
    receipt: Path
    history: Path
    key: Path

    def verify(self, *more: str, receipt: Path | None = None, key: str | None = None) -> int:
        return self.desk.run(
            "verify-receipt", str(receipt or self.receipt), "--key", key or str(self.key), *more
        )


@pytest.fixture
def handed(desk: Desk) -> Handed:
    desk.ledger.create(NAME, {"team": "a"}, {"trainingInput": {"region": "r"}})
    desk.ledger.create("projects/p/jobs/b")
    desk.ledger.started(NAME)
    files = Handed(desk, *(desk.folder / name for name in ("a.tlog-proof", "a.jsonl", "key")))
    assert desk.run("receipt", NAME, "--to", str(files.receipt)) == 0
    assert desk.run("export", NAME, "--to", str(files.history)) == 0
    files.key.write_text(f"# The log's.\n\n{verifier(desk)}\n")
    return files


def verifier(desk: Desk) -> str:
    with desk.ledger.connection() as connection:
        row = connection.execute("SELECT origin FROM log").fetchone()
    assert row is not None
    [key] = find_keys(Settings(), row[0])
    return str(key.verifier)


@pytest.mark.slow
def test_a_receipt_is_checked_without_any_database(handed: Handed) -> None:
    command = [sys.executable, "-m", "jobledger.infra.cli", "verify-receipt", str(handed.receipt)]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "JOBLEDGER_DSN": "host=/nowhere"}
    program = str(Path(sys.executable).parent / "jobledger")
    done = subprocess.run(
        [program, *command[3:], "--key", str(handed.key), "--job", str(handed.history), "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    body = json.loads(done.stdout)
    event = handed.desk.ledger.history(NAME)[-1]
    assert (body["name"], body["version"], body["type"]) == (NAME, 2, "Started")
    assert (body["position"], body["data"], body["ok"]) == (event.position, True, True)


def test_each_event_has_a_receipt_of_its_own(handed: Handed) -> None:
    first = handed.desk.folder / "first"
    assert handed.desk.run("receipt", NAME, "--version", "1", "--to", str(first)) == 0
    assert handed.verify("--job", str(handed.history), receipt=first) == 0
    assert Receipt.parse(first.read_text()).entry.type == "Created"
    assert handed.verify(key=verifier(handed.desk)) == 0  # As text, too.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "message"), [("3", "there is no 3"), ("9999999999", "version")]
)
def test_a_receipt_of_a_missing_version_is_refused(
    handed: Handed, version: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert handed.desk.run("receipt", NAME, "--version", version) != 0
    assert message in capsys.readouterr().err
    assert handed.desk.run("receipt", "projects/p/jobs/none") == 3


WRONG: dict[str, Callable[[str], str]] = {
    "empty": lambda text: "",
    "other text": lambda text: "hello\n",
    "cut in the proof": lambda text: text[: text.index("index") + 40],
    "cut in the signature": lambda text: text[:-30],
    "no end of line": lambda text: text[:-1],
    "another index": lambda text: text.replace("index 2", "index 1"),
    "an index with zeros": lambda text: text.replace("index 2", "index 02"),
    "an index beyond the tree": lambda text: text.replace("index 2", "index 3"),
    "a size beyond the tree": lambda text: text.replace("\n3\n", "\n4\n"),
    "another root": lambda text: text.replace("\n3\n", "\n3\nA", 1),
    "a hash less": lambda text: "".join(text.splitlines(keepends=True)[:3] + text.splitlines(keepends=True)[4:]),
    "no extra": lambda text: "".join(text.splitlines(keepends=True)[:1] + text.splitlines(keepends=True)[2:]),
    "binary": lambda text: "\0" * 100,
    "long": lambda text: text + "x" * 2_000_000,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("how", WRONG)
def test_a_damaged_receipt_is_refused_in_one_sentence(
    handed: Handed, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = handed.receipt.read_text()
    assert WRONG[how](text) != text
    handed.receipt.write_text(WRONG[how](text))
    refused(handed.verify(), capsys)


def test_a_receipt_of_another_job_is_refused(
    handed: Handed, capsys: pytest.CaptureFixture[str]
) -> None:
    other = handed.desk.folder / "b.jsonl"
    handed.desk.run("export", "projects/p/jobs/b", "--to", str(other))
    refused(handed.verify("--job", str(other)), capsys)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('"type":"Started"', '"type":"Failed"'),
        ('"actor":null', '"actor":"mallory"'),
        ('"data":{}', '"data":{"x":1}'),
        ('"version":2', '"version":3'),
        ("Z", "+01:00"),
    ],
)
def test_a_changed_history_does_not_match_its_receipt(
    handed: Handed, was: str, now: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *events, end = handed.history.read_text().splitlines(keepends=True)
    assert was in events[-1]
    handed.history.write_text("".join([head, *events[:-1], events[-1].replace(was, now), end]))
    refused(handed.verify("--job", str(handed.history)), capsys)


KEYS = {
    "none": "",
    "no key": "hello",
    "a file there is not": "/nowhere/key",
    "of another log": str(SigningKey.generate("example.com/other").verifier),
    "a witness's": str(SigningKey.generate("example.com/witness", COSIGNATURE).verifier),
    "damaged": str(SigningKey.generate("example.com/x").verifier)[:-6],
    "private": SigningKey.generate("example.com/x").secret,
}


@pytest.mark.slow
@pytest.mark.parametrize("which", KEYS)
def test_a_wrong_key_refuses_the_receipt(
    handed: Handed, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    no_file = which in {"no key", "a file there is not", "private"}
    refused(handed.verify(key=KEYS[which] or "/dev/null"), capsys, 2 if no_file else 1)


def test_an_unknown_key_under_the_logs_name_is_refused(
    handed: Handed, capsys: pytest.CaptureFixture[str]
) -> None:
    text = handed.receipt.read_text()
    receipt = Receipt.parse(text)
    stranger = SigningKey.generate(verifier(handed.desk).split("+")[0])
    foreign = Note(receipt.note.text, (stranger.sign(receipt.note.text),))
    handed.receipt.write_text(text.replace(str(receipt.note), str(foreign)))
    refused(handed.verify(), capsys)
    # Beside a signature that is known it does no harm.
    both = receipt.note.with_signatures(foreign.signatures)
    handed.receipt.write_text(text.replace(str(receipt.note), str(both)))
    assert handed.verify() == 0


def test_so_many_witnesses_must_have_cosigned(
    handed: Handed, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(handed.verify("--witnesses", "1"), capsys)
    witness = SigningKey.generate("example.com/witness", COSIGNATURE)
    text = handed.receipt.read_text()
    note = Receipt.parse(text).note
    cosigned = note.with_signatures([witness.sign(note.text, 1_700_000_000)])
    handed.receipt.write_text(text.replace(str(note), str(cosigned)))
    handed.key.write_text(f"{verifier(handed.desk)}\n{witness.verifier}\n")
    assert handed.verify("--witnesses", "1") == 0
    assert "cosigned by example.com/witness" in capsys.readouterr().out
    refused(handed.verify("--witnesses", "2"), capsys)


@pytest.mark.slow
def test_a_key_file_that_others_can_read_is_refused(
    handed: Handed, capsys: pytest.CaptureFixture[str]
) -> None:
    path = key_file(Settings(), verifier(handed.desk).split("+")[0])
    path.chmod(0o640)
    for command in (("log", "show"), ("log", "seal"), ("log", "rotate-key"), ("verify", "--proof")):
        refused(handed.desk.run(*command), capsys)
    path.chmod(0o600)
    assert handed.desk.run("log", "show") == 0


@pytest.mark.slow
def test_receipts_verify_with_either_key_during_a_rotation(handed: Handed) -> None:
    desk, old = handed.desk, handed.key.read_text()
    assert desk.run("log", "rotate-key") == 0
    desk.ledger.succeeded(NAME)
    both = desk.folder / "both"
    assert desk.run("receipt", NAME, "--to", str(both)) == 0
    assert len(Receipt.parse(both.read_text()).note.signatures) == 2
    assert handed.verify(receipt=both) == 0  # Who knows the old one only.
    assert desk.run("log", "retire-key") == 0
    handed.key.write_text(verifier(desk))
    assert handed.verify(receipt=both) == 0
    new = desk.folder / "new"
    desk.ledger.retried(NAME)
    assert desk.run("receipt", NAME, "--to", str(new)) == 0
    assert handed.verify(receipt=new) == 0
    handed.key.write_text(old)
    assert handed.verify(receipt=new) == 1
    assert desk.run("log", "retire-key") == 1
    assert desk.run("verify", "--proof") == 0


def refused(code: int, capsys: pytest.CaptureFixture[str], expected: int = 1) -> None:
    """Checks that verification fails with one sentence."""
    assert code == expected
    out, err = capsys.readouterr()
    assert "ok" not in out
    *_, sentence = err.strip().splitlines()
    assert sentence.startswith("jobledger: ")
    assert "Traceback" not in err


def event_line(handed: Handed, version: int) -> tuple[list[str], int, dict[str, Any]]:
    """The file's lines, which of them has that version, and its JSON."""
    lines = handed.history.read_text().splitlines(keepends=True)
    return lines, version, json.loads(lines[version])


CHANGED: dict[str, Any] = {
    "position": 99, "name": "projects/p/jobs/z", "version": 7, "type": "Preparing", "schema": 1,
    "occurredTime": "2020-01-01T00:00:00Z", "recordedTime": "2020-01-01T00:00:00Z", "actor": "mallory",
    "requestId": "r", "traceParent": f"00-{'1' * 32}-{'2' * 16}-01", "data": {"x": 1}, "state": "FAILED",
    "approvedBy": "ann",
}  # fmt: skip
"""Another value of each field of an event, and a field that there is not."""


@pytest.mark.slow
@pytest.mark.parametrize("field", CHANGED)
def test_every_field_of_the_event_in_the_file_is_compared(
    handed: Handed, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, number, event = event_line(handed, 2)
    assert event.keys() <= CHANGED.keys()
    assert event.get(field) != CHANGED[field]
    event[field] = CHANGED[field]
    lines[number] = f"{json.dumps(event)}\n"
    handed.history.write_text("".join(lines))
    refused(handed.verify("--job", str(handed.history)), capsys)


@pytest.mark.slow
def test_it_says_which_versions_it_covers(
    handed: Handed, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = handed.desk
    assert handed.verify("--job", str(handed.history)) == 0
    body = capsys.readouterr().out
    assert f"{handed.history}: version 2 has the recorded data" in body
    assert f"{handed.history}: the state RUNNING was set by version 2" in body
    assert "not covered by this receipt: version 1, and the file's first line" in body
    desk.ledger.change_labels(NAME, {"team": "b"})
    receipt = desk.folder / "labels"
    assert desk.run("receipt", NAME, "--to", str(receipt)) == 0
    assert desk.run("export", NAME, "--to", str(handed.history)) == 0
    capsys.readouterr()
    assert handed.verify("--job", str(handed.history), "--json", receipt=receipt) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["coveredVersions"], shown["uncoveredVersions"]) == ([3], [1, 2])
    assert shown["stateCovered"] is False


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE events SET actor = 'mallory' WHERE name = 'projects/p/jobs/a' AND version = 2",
        "UPDATE events SET data = convert_to('{\"x\":1}', 'UTF8') WHERE name = 'projects/p/jobs/a' AND version = 2",
        "UPDATE tiles SET hashes = set_byte(hashes, 5, 255 - get_byte(hashes, 5))",
        "UPDATE tiles SET key = decode(repeat('00', 32), 'hex') WHERE level = 0",
        "UPDATE checkpoints SET note = regexp_replace(note, '(— \\S+ \\S{12})\\S{8}', '\\1AAAAAAAA')",
    ],
)
def test_no_receipt_is_written_that_does_not_verify(
    handed: Handed, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    handed.desk.attack(damage)
    written = handed.desk.folder / "written"
    refused(handed.desk.run("receipt", NAME, "--to", str(written)), capsys)
    assert not written.exists()


def test_a_changed_checkpoint_in_the_database_is_replaced_first(handed: Handed) -> None:
    handed.desk.attack("UPDATE checkpoints SET note = replace(note, E'\\n3\\n', E'\\n3\\nA')")
    written = handed.desk.folder / "written"
    assert handed.desk.run("receipt", NAME, "--to", str(written)) == 0
    assert handed.verify(receipt=written) == 0
