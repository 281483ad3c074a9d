"""Ledgers that earlier versions made open, verify, answer as they did, and go on."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from jobledger.domain.proof import merkle
from jobledger.infra import Ledger
from jobledger.infra.evaluation.runs.scheduler import Scheduler
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import Note
from jobledger.projections.catalogue import PROJECTIONS

from tests.evaluation_jobs import Clock, predictions_of
from tests.upgrade.history import SPEC, personal
from tests.upgrade.make import JOBS, parse, run

FIXTURES = sorted(file.parent for file in Path(__file__).parent.glob("*/ledger.sql.gz"))


class Loaded(NamedTuple):
    """A ledger from a fixture, brought up to date, and the fixture's files."""

    dsn: str
    name: str
    folder: Path

    def run(self, *arguments: str) -> tuple[int, str]:
        return run(self.dsn, self.name, *arguments)

    def json(self, *arguments: str) -> Any:
        code, printed = self.run(*arguments, "--json")
        assert code == 0
        return json.loads(printed)

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def open(self) -> Ledger:
        return Ledger.open(self.dsn, self.name)


@pytest.fixture(params=FIXTURES, ids=lambda folder: folder.name)
def loaded(
    dsn: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Loaded]:
    folder: Path = request.param
    made, name = f"upgrade_{folder.name}", f"upgrade_{folder.name}_{os.getpid()}"
    statements = gzip.decompress((folder / "ledger.sql.gz").read_bytes()).decode()
    monkeypatch.setenv("JOBLEDGER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JOBLEDGER_SIGNING_KEY", (folder / "signing_key").read_text())
    try:
        with psycopg.connect(dsn) as connection:
            connection.execute(statements.replace(f"ledger_{made}", f"ledger_{name}").encode())
        upgraded = Loaded(dsn, name, folder)
        assert upgraded.run("init")[0] == 0
        yield upgraded
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS ledger_{name} CASCADE".encode())


def differences(now: Any, then: Any, path: str = "") -> list[str]:
    """Where an answer is not the one of then; what only the answer of now has is not looked at.

    The conclusion of `why` is a sentence for people, and may be worded otherwise.
    """
    if isinstance(now, dict) and isinstance(then, dict):
        missing = [f"{path}.{key} is missing" for key in then.keys() - now.keys()]
        shared = [
            d
            for key in then
            if key in now
            for d in differences(now[key], then[key], f"{path}.{key}")
        ]
        return missing + shared
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [
            d
            for n, (a, b) in enumerate(zip(now, then, strict=True))
            for d in differences(a, b, f"{path}[{n}]")
        ]
    if path == ".conclusion" and now and isinstance(now, str):
        return []
    return [] if now == then else [f"{path}: {now!r}, and it was {then!r}"]


OF_THE_LIBRARY = "notification_tracking"
"""The table that eventsourcing's library makes when it is used."""
STRUCTURE = {
    "functions": "SELECT oid::regprocedure::text, pg_get_functiondef(oid), has_function_privilege('public', oid, 'EXECUTE')"
    " FROM pg_proc WHERE pronamespace = %s::regnamespace",
    "columns": "SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name"
    " FROM information_schema.columns WHERE table_schema = %s",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = %s",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = %s::regnamespace AND contype <> 'n'",
    "triggers": "SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger"
    " WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = %s::regnamespace)",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = %s",
    "options": "SELECT relname, reloptions FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'",
}


def structure(dsn: str, name: str, of: str) -> list[str]:
    """What a ledger's schema is made of, without the schema's name."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(STRUCTURE[of].encode(), (f"ledger_{name}",)).fetchall()
    texts = [repr(row).replace(f"ledger_{name}", "ledger") for row in rows]
    return sorted(text for text in texts if OF_THE_LIBRARY not in text)


def proof_verifies(loaded: Loaded, *more: str) -> bool:
    checkpoints = ("checkpoint", "early.checkpoint")
    given = [f for name in checkpoints for f in ("--checkpoint", loaded.file(name))]
    code, printed = loaded.run("verify", "--proof", "--key", loaded.file("key"), *given, *more)
    assert code == 0, printed
    return True


def test_there_is_a_fixture_of_the_first_upgrade() -> None:
    assert "0009" in {folder.name for folder in FIXTURES}


@pytest.mark.slow
@pytest.mark.unused_schema
def test_an_upgraded_schema_equals_a_new_one(loaded: Loaded, ledger: Ledger) -> None:
    for of in STRUCTURE:
        found = structure(loaded.dsn, loaded.name, of)
        assert found
        assert found == structure(loaded.dsn, ledger.name, of), of


@pytest.mark.slow
def test_an_upgraded_ledger_verifies_and_its_projections_match(loaded: Loaded) -> None:
    assert loaded.run("verify")[0] == 0
    assert proof_verifies(loaded)
    for projection in PROJECTIONS:
        rehearsed = loaded.json("rebuild", projection.name, "--rehearse")
        changed = [change["fields"] for change in rehearsed["changes"] if change["fields"]]
        # A count that came to nothing may be there or not.
        counts = [fields.get("change", {"after": "?"}) for fields in changed]
        assert all(set(count.values()) <= {None, 0} for count in counts), changed
        assert loaded.json("rebuild", projection.name)["events"] > 0
    assert loaded.run("verify")[0] == 0


@pytest.mark.slow
def test_an_upgraded_ledger_gives_the_same_answers(loaded: Loaded) -> None:
    """But for answers that are others since events take effect in the order they were recorded."""
    answers = json.loads(gzip.decompress((loaded.folder / "answers.json.gz").read_bytes()))
    since = loaded.folder.with_name(f"answers_{loaded.folder.name}_since_0011.json.gz")
    changed = json.loads(gzip.decompress(since.read_bytes()))
    assert len(answers) > 70
    assert 0 < len(changed) < len(answers) / 3
    for number, answer in changed.items():
        assert answer["arguments"] == answers[int(number)]["arguments"]
        answers[int(number)] = answer
    for answer in answers:
        asked = answer["arguments"]
        code, printed = loaded.run(*asked)
        # What was refused exited with 1; it tells how since then, and 1 is for a question's answer.
        assert code == answer["exit"] or (code > 1 and answer["exit"] == 1), asked
        assert differences(parse(printed), answer["answer"]) == [], asked


@pytest.mark.slow
def test_receipts_and_exports_of_earlier_versions_verify(loaded: Loaded) -> None:
    job, key = loaded.file("job.jsonl"), ("--key", loaded.file("key"))
    assert loaded.run("verify-receipt", loaded.file("event.tlog-proof"), *key, "--job", job)[0] == 0
    for name in (job for job in JOBS[1:] if "personal" not in job):
        exported = loaded.json("history", name, "--from", loaded.file("all.jsonl"))
        assert exported == loaded.json("history", name)
    archived = loaded.json("history", JOBS[0], "--from", loaded.file("pruned.jsonl"))
    assert [event["type"] for event in archived] == [
        "Created",
        "Cancelling",
        "Cancelled",
        "Deleted",
    ]
    assert loaded.json("show", "--from", job) == loaded.json("show", "projects/p/jobs/misreported")


@pytest.mark.slow
def test_an_upgraded_ledger_can_be_written(loaded: Loaded, tmp_path: Path) -> None:
    old = Checkpoint.parse(Note.parse((loaded.folder / "checkpoint").read_text()).text)
    name, evaluated = "projects/p/jobs/shared", "projects/p/evaluationJobs/evaluated"
    with loaded.open() as ledger:
        assert ledger.size() == old.size
        labels = {"team": "a", "env": "queued"}
        again = ledger.create("projects/p/jobs/queued", labels, SPEC, request_id="create-queued")
        assert (again.version, ledger.size()) == (1, old.size)
        ledger.started(name, actor="later")
        ledger.failed(name, {"code": 3, "message": "", "details": [personal("::2", "user:alice")]})
        ledger.started(name)
        assert [event.type for event in ledger.history(name)][-3:] == [
            "Started",
            "Failed",
            "Contradicted",
        ]
        ledger.create(
            "projects/p/jobs/new", {"team": "new"}, {"owner": personal("x", "user:carol")}
        )
        ledger.record_predictions(evaluated, predictions_of("ij", truth="dog"))
        Scheduler(ledger, clock=Clock(datetime(2026, 6, 9, tzinfo=UTC))).do_due()
        started = [e.json for e in ledger.history(evaluated) if e.type == "RunStarted"]
        assert [run["run"] for run in started] == [*range(1, len(started) + 1)]
        assert started[-1]["cut"] == started[-2]["cut"] + 6
        shown = ledger.get("projects/p/jobs/personal_kept").spec
    assert loaded.json("show", "projects/p/jobs/personal_kept")["spec"]["owner"] == {"name": "kept"}
    assert loaded.run("erase", "user:alice", "--yes")[0] == 0
    erased = loaded.json("show", "projects/p/jobs/personal_kept")["spec"]["owner"]
    assert erased == {"@erased": {"key": shown["owner"]["@personal"]["key"]}}
    code, printed = loaded.run("log", "checkpoint")
    assert code == 0
    grown = Checkpoint.parse(Note.parse(printed).text)
    assert grown.size > old.size
    with loaded.open() as ledger, ledger.connection() as connection:
        proof = Tree().prove_consistency(connection, old.size, grown.size)
    assert merkle.is_consistent(old.size, grown.size, old.root, grown.root, proof)
    before = datetime.now(UTC)
    pruned = tmp_path / "pruned.jsonl"
    assert loaded.run("prune", "--before", before.isoformat(), "--to", str(pruned))[0] == 0
    assert pruned.exists()
    assert loaded.run("verify")[0] == 0
    assert proof_verifies(loaded)
    assert proof_verifies(loaded, "--since", loaded.file("checkpoint"))
    receipt = str(tmp_path / "receipt")
    assert loaded.run("receipt", evaluated, "--to", receipt)[0] == 0
    assert loaded.run("verify-receipt", receipt, "--key", loaded.file("key"))[0] == 0
    assert (
        loaded.run("verify-receipt", loaded.file("event.tlog-proof"), "--key", loaded.file("key"))[
            0
        ]
        == 0
    )
