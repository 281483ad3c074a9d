"""A log that continues after a loss: a signed statement names the loss, and excuses nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jobledger.infra import Ledger
from jobledger.infra.errors import ForkedError, ProofError
from jobledger.infra.postgres.connections import schema_of
from jobledger.infra.proof.audit.audit import Audit, audit
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.keys import create_key, find_keys, last_signed_file
from jobledger.infra.proof.signing.notes import Note
from jobledger.infra.proof.signing.resumption import Resumption
from jobledger.infra.settings import Settings

from tests.desks import Desk

TABLES = ("events", "jobs", "head", "log", "tiles", "checkpoints", "intervals", "state_changes", "late_jobs", "projections")  # fmt: skip
KEPT, LOST = 3, 5
"""Events in the backup, and events that were signed."""


class Loss(NamedTuple):
    """A ledger that was restored from a backup: its log lost two events for which a checkpoint was signed."""

    desk: Desk
    receipt: Path
    """Of the last event that was lost."""
    kept_receipt: Path
    checkpoint: Path
    """Of the history before the loss."""

    @property
    def ledger(self) -> Ledger:
        return self.desk.ledger

    def again(self) -> Ledger:
        """The ledger as another process sees it, which remembers no job that is gone."""
        return Ledger.open(self.desk.dsn, self.ledger.name)

    def audit(self, *checkpoints: Path) -> Audit:
        with self.ledger.connection() as connection:
            return audit(connection, Settings(), checkpoints)

    def found(self, *checkpoints: Path) -> list[tuple[str, int]]:
        return [(each.kind, each.position) for each in self.audit(*checkpoints).findings]

    def keys(self) -> list[str]:
        with self.ledger.connection() as connection:
            row = connection.execute("SELECT origin FROM log").fetchone()
        assert row is not None
        options = [["--key", str(key.verifier)] for key in find_keys(Settings(), row[0])]
        return [word for option in options for word in option]


@pytest.fixture
def loss(desk: Desk) -> Iterator[Loss]:
    ledger, schema = desk.ledger, schema_of(desk.ledger.name)
    for number in range(KEPT):
        ledger.create(f"projects/p/jobs/j{number}")
    ledger.checkpoint()
    ledger.follow(ledger.size())
    kept_receipt, receipt = desk.folder / "kept.receipt", desk.folder / "lost.receipt"
    kept_receipt.write_text(str(ledger.receipt(f"projects/p/jobs/j{KEPT - 1}")))
    for table in TABLES:
        desk.attack(f"CREATE TABLE {schema}.saved_{table} AS TABLE {schema}.{table}")
    for number in range(KEPT, LOST):
        ledger.create(f"projects/p/jobs/j{number}")
    ledger.checkpoint()
    receipt.write_text(str(ledger.receipt(f"projects/p/jobs/j{LOST - 1}")))
    made = Loss(desk, receipt, kept_receipt, desk.folder / "before.checkpoint")
    shutil.copy2(_last_signed(ledger), made.checkpoint)
    for table in TABLES:
        desk.attack(f"DELETE FROM {table}")
        desk.attack(f"INSERT INTO {table} SELECT * FROM saved_{table}")
        desk.attack(f"DROP TABLE saved_{table}")
    yield made


def _last_signed(ledger: Ledger) -> Path:
    with ledger.connection() as connection:
        row = connection.execute("SELECT origin FROM log").fetchone()
    assert row is not None
    return last_signed_file(Settings(), row[0])


@pytest.mark.slow
@pytest.mark.parametrize("later", [0, 1, 9], ids=["at once", "after one event", "after many"])
def test_a_resumed_log_is_signed_and_verification_names_the_loss(loss: Loss, later: int) -> None:
    with loss.again() as ledger:
        for number in range(later):
            ledger.create(f"projects/p/jobs/later-{number}")
        with pytest.raises(ForkedError, match="jobledger log resume --accept-loss"):
            ledger.checkpoint()
        assert loss.found() == [("rolled back", KEPT + 1)]
        resumed = ledger.resume_log("ann")
        assert (resumed.epoch, resumed.first, resumed.last) == (2, KEPT + 1, LOST)
        assert resumed.record == ledger.size() == KEPT + later + 1
        ledger.create("projects/p/jobs/after")
        assert ledger.checkpoint() is not None
    found = loss.audit(loss.checkpoint)
    assert found.findings == []
    assert found.lost_checkpoints == 1
    [record] = found.records
    assert (record.kind, record.position, record.actor) == ("resumed", resumed.record, "ann")
    assert record.data["lost"] == {"first": KEPT + 1, "last": LOST}


@pytest.mark.slow
def test_the_statement_is_signed_by_old_and_new_key(loss: Loss) -> None:
    old = find_keys(Settings(), _origin(loss))
    with loss.again() as ledger:
        resumed = ledger.resume_log(new_key=True)
    both = find_keys(Settings(), _origin(loss))
    assert [key.verifier for key in both[:-1]] == [key.verifier for key in old]
    note = Note.parse(resumed.statement)
    for key in both:
        assert Resumption.open(note, [key.verifier]).positions == (KEPT + 1, LOST)
    assert loss.found(loss.checkpoint) == []


@pytest.mark.slow
def test_a_post_quantum_key_signs_it_too(loss: Loss) -> None:
    from jobledger.infra.proof.signing.algorithms import ALGORITHMS

    types = {each.name: type_ for type_, each in ALGORITHMS.items() if each.is_of_log}
    key = create_key(Settings(), _origin(loss), types["ml-dsa-44"])
    with loss.again() as ledger:
        resumed = ledger.resume_log()
    assert Resumption.open(Note.parse(resumed.statement), [key.verifier]).epoch == 2
    assert loss.found(loss.checkpoint) == []


def _origin(loss: Loss) -> str:
    return Checkpoint.parse(Note.parse(loss.checkpoint.read_text()).text).origin


def forged(statement: str) -> str:
    """The same with other signatures."""
    note = Note.parse(statement)
    signatures = [each._replace(made=bytes(len(each.made))) for each in note.signatures]
    return str(Note(note.text, tuple(signatures)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        forged,
        lambda statement: str(Note(Note.parse(statement).text, ())) + "\n",
        lambda statement: statement.replace("lost 5", "lost 9"),
        lambda _: "",
    ],
    ids=["forged", "unsigned", "more", "none"],
)
def test_a_statement_that_no_key_signed_excuses_nothing(
    loss: Loss, change: Callable[[str], str]
) -> None:
    from jobledger.domain.values import canonical

    with loss.again() as ledger:
        statement = ledger.resume_log().statement
    _last_signed(loss.ledger).unlink()
    data = canonical.encode(
        {"epoch": 2, "lost": {"first": KEPT + 1, "last": LOST}, "statement": change(statement)}
    )
    loss.desk.attack(
        f"UPDATE events SET data = '\\x{data.hex()}' WHERE name = 'ledger/resumptions'"
    )
    kinds = {kind for kind, _ in loss.found(loss.checkpoint)}
    assert kinds & {"changed", "forked", "rolled back"}
    assert "forked" in kinds


@pytest.mark.slow
def test_a_loss_after_the_statement_is_not_excused(loss: Loss, tmp_path: Path) -> None:
    """A second history after the epoch began: the statement is of what was signed before it."""
    with loss.again() as ledger:
        ledger.resume_log()
    [key] = find_keys(Settings(), _origin(loss))
    text = Checkpoint(_origin(loss), LOST, bytes(32)).text_at(4_000_000_000)
    other = tmp_path / "other"
    other.write_text(str(Note(text, (key.sign(text),))))
    assert loss.found(other)[0][0] in {"forked", "rolled back"}


def test_a_log_without_loss_cannot_be_resumed(desk: Desk) -> None:
    with pytest.raises(ProofError, match="there is nothing to resume"):
        desk.ledger.resume_log()
    desk.ledger.create("projects/p/jobs/a")
    desk.ledger.checkpoint()
    with pytest.raises(ProofError, match="nothing is lost"):
        desk.ledger.resume_log(new_key=True)
    with desk.ledger.connection() as connection:
        row = connection.execute("SELECT origin FROM log").fetchone()
    assert row is not None
    assert len(find_keys(Settings(), row[0])) == 1


@pytest.mark.slow
def test_a_log_can_lose_events_again(loss: Loss) -> None:
    with loss.again() as ledger:
        ledger.resume_log()
        note = Note.parse(_last_signed(ledger).read_text())
        [key] = find_keys(Settings(), _origin(loss))
        ahead = Checkpoint(_origin(loss), 50, bytes(32)).text_at(4_000_000_000)
        _last_signed(ledger).write_text(str(Note(ahead, (key.sign(ahead),))))
        again = ledger.resume_log()
    assert (again.epoch, again.first) == (3, Checkpoint.parse(note.text).size + 1)
    assert loss.found(loss.checkpoint) == []
    assert [record.kind for record in loss.audit().records] == ["resumed"] * 2


@pytest.mark.slow
def test_the_command_says_what_is_lost_and_goes_on(
    loss: Loss, capsys: pytest.CaptureFixture[str]
) -> None:
    run = loss.desk.run
    assert run("log", "show") == 0
    assert "not signed any more: " in capsys.readouterr().out
    assert run("doctor") == 1
    assert "jobledger log resume" in " ".join(capsys.readouterr().out.split())
    assert run("log", "resume") == 1
    assert f"positions {KEPT + 1} to {LOST} may be lost" in capsys.readouterr().out
    assert loss.ledger.size() == KEPT
    assert run("log", "resume", "--accept-loss", "--actor", "ann", "--json") == 0
    body: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (body["epoch"], body["first"], body["last"]) == (2, KEPT + 1, LOST)
    assert run("verify", "--proof", "--checkpoint", str(loss.checkpoint)) == 0
    out = capsys.readouterr().out
    assert f"by ann: positions {KEPT + 1} to {LOST} were lost" in out
    assert "1 checkpoint of lost history left out" in out
    assert run("log", "show") == 0
    assert "not signed" not in capsys.readouterr().out


@pytest.mark.slow
def test_receipts_of_lost_events_are_told_apart(
    loss: Loss, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, keys = loss.desk.run, loss.keys()
    with loss.again() as ledger:
        resumed = ledger.resume_log()
        ledger.create("projects/p/jobs/new")
        new = tmp_path / "new.receipt"
        new.write_text(str(ledger.receipt("projects/p/jobs/new")))
    assert Checkpoint.parse(Note.parse(new.read_text().partition("\n\n")[2]).text).size <= LOST

    def is_lost(file: Path, *more: str) -> bool:
        capsys.readouterr()
        assert run("verify-receipt", str(file), *keys, *more, "--json") == 0
        return bool(json.loads(capsys.readouterr().out)["lost"])

    assert [is_lost(each) for each in (loss.receipt, loss.kept_receipt, new)] == [
        True,
        False,
        False,
    ]
    # Elsewhere, with the statement and without it.
    statement = tmp_path / "statement"
    statement.write_text(resumed.statement)
    monkeypatch.setenv("JOBLEDGER_HOME", str(tmp_path / "elsewhere"))
    assert not is_lost(loss.receipt)
    assert is_lost(loss.receipt, "--lost", str(statement))
