"""Attacks by a database owner with all triggers off, and the finding that names each."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jobledger.infra import Ledger
from jobledger.infra.errors import BrokenLedgerError, ForkedError, ProofError
from jobledger.infra.postgres.connections import Connection, schema_of
from jobledger.infra.proof.audit.audit import Audit, audit
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.algorithms import COSIGNATURE
from jobledger.infra.proof.signing.keys import last_signed_file
from jobledger.infra.proof.signing.notes import Note, SigningKey
from jobledger.infra.proof.signing.origin import name_log
from jobledger.infra.proof.signing.pins import pin
from jobledger.infra.proof.signing.signed_database import keep_database
from jobledger.infra.settings import Settings
from jobledger.infra.transfer.traces.simulation import simulate
from jobledger.infra.upkeep.definitions import Installed, install_definitions
from jobledger.infra.upkeep.findings import Finding
from psycopg.sql import SQL, Identifier

from tests.ledgers import new_ledger
from tests.schemas import READ_TABLES

JOBS = 120
numbers = count(1)


class Template(NamedTuple):
    """A ledger with a signed log; each test gets a copy."""

    name: str
    size: int
    home: Path
    """The folder of the log's key, and of what was signed with it."""
    installed: Installed
    """What its schema is compared with."""

    def copy_to(self, connection: Connection) -> None:
        """Replaces all rows of another ledger by those of this one."""
        schema = schema_of(self.name)
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            tables = connection.execute(READ_TABLES, (schema,)).fetchall()
            for (table,) in tables:
                connection.execute(SQL("DELETE FROM {}").format(Identifier(table)))
                rows = SQL("INSERT INTO {} TABLE {}")
                connection.execute(rows.format(Identifier(table), Identifier(schema, table)))


class Victim(NamedTuple):
    """A ledger with a signed log, and checkpoints that were kept elsewhere."""

    ledger: Ledger
    size: int
    folder: Path
    """The folder of checkpoints that were handed out."""
    installed: Installed

    def attack(self, *statements: str, **expected: Any) -> None:
        """As a superuser with triggers off, in one transaction."""
        with self.ledger.connection() as connection, connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            for statement in statements:
                connection.execute(statement.encode(), expected)

    def audit(self, *checkpoints: Path) -> Audit:
        with self.ledger.connection() as connection:
            return audit(connection, Settings(), checkpoints, installed=self.installed)

    def findings(self, *checkpoints: Path) -> list[Finding]:
        found = self.audit(*checkpoints)
        assert found.ok == (found.findings == [])
        return found.findings

    def found(self, *checkpoints: Path) -> list[tuple[str, int]]:
        return [(finding.kind, finding.position) for finding in self.findings(*checkpoints)]

    def hand_out(self) -> Path:
        """Signs, and keeps the checkpoint out of the attacker's reach."""
        self.ledger.seal()
        file = self.folder / f"checkpoint-{next(numbers)}"
        shutil.copy2(last_signed_file(Settings(), self.origin), file)
        return file

    @property
    def origin(self) -> str:
        return str(self.one("SELECT origin FROM log"))

    def one(self, statement: str, **expected: Any) -> Any:
        with self.ledger.connection() as connection:
            row = connection.execute(statement.encode(), expected).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture(scope="module")
def template(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch, new_ledger(dsn) as name:
        patch.setenv("JOBLEDGER_HOME", str(home))
        with Ledger.open(dsn, name, catch_up=False) as ledger, ledger.connection() as connection:
            name_log(connection, Settings())
            size = ledger.append_many(simulate(JOBS, 2, "p"))
            assert size > 2 * 256 + 100
            ledger.seal()
            assert audit(connection, Settings()).findings == []
            yield Template(name, size, home, install_definitions(connection))


@pytest.fixture
def victim(
    template: Template,
    dsn: str,
    ledger_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Victim]:
    shutil.copytree(template.home, tmp_path / "home")
    monkeypatch.setenv("JOBLEDGER_HOME", str(tmp_path / "home"))
    with Ledger.open(dsn, ledger_name) as ledger:
        with ledger.connection() as connection:
            template.copy_to(connection)
        victim = Victim(ledger, template.size, tmp_path, template.installed)
        with ledger.connection() as connection:
            pin(Settings(), connection, victim.origin)
            keep_database(Settings(), connection, victim.origin)
        assert victim.findings() == []
        yield victim


SHIFT = 1_000_000
"""Positions are moved by way of others, as no two events may be at the same."""


def swap(one: int, other: int) -> list[str]:
    what = "UPDATE events SET position = {} WHERE position = {}"
    moves = ((SHIFT, one), (one, other), (other, SHIFT))
    return [what.format(to, at) for to, at in moves]


def renumber(first: int, by: int) -> list[str]:
    """The events from a position on, by so many places."""
    return [
        f"UPDATE events SET position = position + {SHIFT} WHERE position >= {first}",
        f"UPDATE events SET position = position - {SHIFT} + {by} WHERE position >= {SHIFT}",
        f"UPDATE head SET size = size + {by}",
    ]


PLACES = [1, 2, 255, 256, 257, 300, 512, 513, -2, -1]
"""Where it is done: around the edges of tiles; from the end if negative."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        "data = overlay(data PLACING '\\x20'::bytea FROM length(data) FOR 0)",
        "data = set_byte(data, 0, get_byte(data, 0) # 1)",
        "occurred_time = occurred_time + interval '1 microsecond'",
        "recorded_time = recorded_time - interval '1 microsecond'",
        "actor = coalesce(actor, '') || 'x'",
        "actor = CASE WHEN actor IS NULL THEN '' END",
        "request_id = 'r'",
        "trace_parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'",
        "type = type || 'x'",
        "schema = schema + 1",
        "version = version + 1000",
        "name = name || 'x'",
    ],
)
@pytest.mark.parametrize("place", [1, 300, -1])
def test_a_change_anywhere_in_an_event_is_found(victim: Victim, change: str, place: int) -> None:
    position = place % (victim.size + 1)
    victim.attack(f"UPDATE events SET {change} WHERE position = {position}")
    assert victim.found() == [("changed", position)]


def test_a_changed_event_is_named_with_its_job(victim: Victim) -> None:
    name = victim.one("SELECT name FROM events WHERE position = 77")
    victim.attack("UPDATE events SET actor = 'mallory' WHERE position = 77")
    [finding] = victim.findings()
    assert finding.name == name


def test_several_changes_are_found_one_by_one(victim: Victim) -> None:
    places = [3, 4, 5, 400, victim.size]
    victim.attack("UPDATE events SET actor = 'mallory' WHERE position = ANY (%(p)s)", p=places)
    assert victim.found() == [("changed", place) for place in places]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("one", "other"), [(1, 2), (10, 11), (256, 257), (5, 600), (100, 103), (-1, 0), (-3, 0), (1, 0)]
)
def test_two_events_that_were_swapped_are_found(victim: Victim, one: int, other: int) -> None:
    places = [place if place > 0 else victim.size + place for place in (one, other)]
    victim.attack(*swap(*places))
    assert victim.found() == [("reordered", place) for place in sorted(places)]


@pytest.mark.slow
@pytest.mark.parametrize("gone", [1, 2, 300])
def test_a_truncated_log_is_found(victim: Victim, gone: int) -> None:
    victim.attack(f"DELETE FROM events WHERE position > {victim.size - gone}")
    assert victim.found() == [("cut tail", victim.size - gone + 1)]
    victim.attack(f"UPDATE head SET size = {victim.size - gone}")
    assert victim.found() == [("cut tail", victim.size - gone + 1)]


@pytest.mark.slow
def test_a_missing_last_event_is_found_before_it_is_signed(victim: Victim) -> None:
    with victim.ledger.connection() as connection:
        last = connection.execute(b"SELECT * FROM events ORDER BY position DESC LIMIT 1").fetchone()
    assert last is not None
    victim.attack("UPDATE head SET size = size + 1")
    assert victim.found() == [("cut tail", victim.size + 1)]
    victim.attack("UPDATE head SET size = size - 2", "UPDATE log SET size = size - 1")
    assert victim.found()[0][0] in {"rolled back", "inserted"}


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES[:-1])
def test_an_event_that_was_taken_out_is_found(victim: Victim, place: int) -> None:
    position = place % (victim.size + 1)
    victim.attack(f"DELETE FROM events WHERE position = {position}")
    assert victim.found() == [("missing", position)]


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES[:-1])
@pytest.mark.parametrize("gone", [1, 3])
def test_a_removed_event_is_found_after_renumbering_positions(
    victim: Victim, place: int, gone: int
) -> None:
    position = min(place % (victim.size + 1), victim.size - gone)
    victim.attack(
        f"DELETE FROM events WHERE position BETWEEN {position} AND {position + gone - 1}",
        *renumber(position + gone, -gone),
    )
    assert victim.found()[0] == ("missing", position)
    assert {kind for kind, _ in victim.found()} == {"missing"}


def test_a_removed_event_is_found_after_renumbering_versions(victim: Victim) -> None:
    position = int(
        victim.one("SELECT position FROM events WHERE version = 2 AND position > 290 LIMIT 1")
    )
    name = victim.one(f"SELECT name FROM events WHERE position = {position}")
    victim.attack(
        f"DELETE FROM events WHERE position = {position}",
        "UPDATE events SET version = version + 1000 WHERE name = %(name)s AND version > 2",
        "UPDATE events SET version = version - 1001 WHERE name = %(name)s AND version > 1000",
        *renumber(position + 1, -1),
        name=name,
    )
    first, *others = victim.findings()
    assert (first.kind, first.position) == ("missing", position)
    assert {(other.kind, other.name) for other in others} <= {("changed", name)}


INSERT = (
    "INSERT INTO events (position, recorded_time, occurred_time, version, schema, type, name, data)"
    " SELECT {}, recorded_time, occurred_time, 1, 1, 'Created', 'projects/p/jobs/forged', '{{}}'"
    " FROM events WHERE position = {}"
)


@pytest.mark.slow
@pytest.mark.parametrize("place", [1, 2, 256, 257, 300, -1])
def test_an_event_that_was_put_in_is_found(victim: Victim, place: int) -> None:
    position = place % (victim.size + 1)
    victim.attack(*renumber(position, 1), INSERT.format(position, position + 1))
    assert victim.found() == [("inserted", position)]
    assert victim.findings()[0].name == "projects/p/jobs/forged"


def test_an_event_inserted_at_the_end_is_found(victim: Victim) -> None:
    victim.attack(INSERT.format(victim.size + 1, victim.size))
    assert victim.found() == [("inserted", victim.size + 1)]


def forge(victim: Victim) -> None:
    """Makes the log's tree again from the present events, and signs it with the stolen key."""
    victim.attack(
        "DELETE FROM tiles",
        "DELETE FROM checkpoints",
        "UPDATE log SET size = 0",
        "UPDATE head SET size = (SELECT max(position) FROM events)",
    )
    last_signed_file(Settings(), victim.origin).unlink()
    victim.ledger.seal()


@pytest.mark.slow
def test_a_kept_checkpoint_exposes_a_history_rewritten_with_a_stolen_key(
    victim: Victim,
) -> None:
    early = victim.hand_out()
    victim.ledger.append_many(simulate(10, 2, "q"))
    late = victim.hand_out()
    victim.attack(f"UPDATE events SET actor = 'nobody' WHERE position = {victim.size + 3}")
    forge(victim)
    with victim.ledger.connection() as connection:
        connection.execute(b"SELECT 1")
    assert victim.found() == []  # By itself the database is in keeping.
    assert victim.found(early) == [("forked", 1)]  # Its tree has other salts.
    assert victim.found(early, late) == [("forked", 1)]


@pytest.mark.slow
def test_the_start_of_a_rewritten_part_is_located(victim: Victim) -> None:
    early = victim.hand_out()
    with victim.ledger.connection() as connection:
        tiles = connection.execute(b"SELECT * FROM tiles").fetchall()
    victim.ledger.append_many(simulate(10, 2, "q"))
    late = victim.hand_out()
    victim.attack(
        f"UPDATE events SET actor = 'nobody' WHERE position = {victim.size + 3}",
        "DELETE FROM tiles",
        "DELETE FROM checkpoints",
        f"UPDATE log SET size = {victim.size}",
    )
    with victim.ledger.connection() as connection, connection.transaction():
        connection.execute(b"SET LOCAL session_replication_role = replica")
        for tile in tiles:
            connection.execute(b"INSERT INTO tiles VALUES (%s, %s, %s, %s)", tile)
    last_signed_file(Settings(), victim.origin).unlink()
    victim.ledger.seal()
    assert victim.found() == []
    assert victim.found(early) == []
    assert victim.found(early, late) == [("forked", victim.size + 1)]


@pytest.mark.slow
def test_a_cosigned_checkpoint_exposes_a_rewrite(victim: Victim) -> None:
    witness = SigningKey.generate("example.com/witness", COSIGNATURE)
    file = victim.hand_out()
    note = Note.parse(file.read_text())
    file.write_text(str(note.with_signatures([witness.sign(note.text, 1_700_000_000)])))
    victim.attack("UPDATE events SET data = '{}' WHERE position = 9 OR position = 10")
    forge(victim)
    assert victim.found(file)[0][0] in {"forked", "rolled back"}


@contextmanager
def dumped(victim: Victim) -> Iterator[Callable[[], None]]:
    """A copy of all tables, as a backup holds them, and what puts it back."""
    schema = schema_of(victim.ledger.name)
    tables = ("events", "jobs", "head", "log", "tiles", "checkpoints", "intervals", "state_changes", "late_jobs", "projections")  # fmt: skip
    with victim.ledger.connection() as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {schema}.saved_{table} AS TABLE {table}".encode())

    def restore() -> None:
        victim.attack(
            *(f"DELETE FROM {table}" for table in tables),
            *(f"INSERT INTO {table} SELECT * FROM saved_{table}" for table in tables),
        )

    yield restore
    with victim.ledger.connection() as connection:
        for table in tables:
            connection.execute(f"DROP TABLE saved_{table}".encode())


def go_on(victim: Victim, dsn: str, jobs: int) -> None:
    """Writes from another process: this one's cache has jobs that are gone."""
    with Ledger.open(dsn, victim.ledger.name) as ledger:
        for number in range(jobs):
            ledger.create(f"projects/p/jobs/later-{next(numbers)}-{number}")


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 200])
def test_a_restored_backup_is_found_and_nothing_more_is_signed(
    signing_in_background: None, victim: Victim, dsn: str, jobs: int
) -> None:
    with dumped(victim) as restore:
        go_on(victim, dsn, 100)
        handed_out = victim.hand_out()
        restore()
        assert victim.found(handed_out) == [("rolled back", victim.size + 1)]
        before = last_signed_file(Settings(), victim.origin).read_text()
        go_on(victim, dsn, jobs)  # Yesterday's, and then it goes on.
        with pytest.raises(ForkedError) as refused:
            victim.ledger.seal()
        assert refused.value.kind == ("rolled back" if jobs == 1 else "forked")
        assert last_signed_file(Settings(), victim.origin).read_text() == before
        assert victim.found() == [("rolled back", victim.size + 1)]
        # Also where nothing but the checkpoint is left, and the signer forgot.
        last_signed_file(Settings(), victim.origin).unlink()
        victim.ledger.seal()
        assert victim.found(handed_out) == [("rolled back", victim.size + 1)]


@pytest.mark.slow
def test_a_process_that_saw_more_forgets_it_after_a_restored_backup(
    signing_in_background: None, victim: Victim, dsn: str
) -> None:
    tree = Tree()
    with dumped(victim) as restore, victim.ledger.connection() as connection:
        go_on(victim, dsn, 300)
        victim.ledger.seal()
        size = tree.log_state(connection).size
        for index in range(0, size, 100):
            tree.prove_inclusion(connection, index, size)
        restore()
        go_on(victim, dsn, 1)
        with pytest.raises(ForkedError):
            victim.ledger.seal()
        last_signed_file(Settings(), victim.origin).unlink()
        victim.ledger.seal()
        size = tree.log_state(connection).size
        assert tree.root(connection, size) == Tree().root(connection, size)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE jobs SET state = 'FAILED' WHERE state = 'SUCCEEDED'",
        "UPDATE jobs SET error_message = 'oops'",
        "DELETE FROM jobs WHERE name = (SELECT max(name) FROM jobs)",
        "UPDATE intervals SET state = 5 WHERE position = 20",
        "UPDATE intervals SET occurred_from = occurred_from + interval '1 s'",
        "DELETE FROM intervals WHERE position = (SELECT max(position) FROM intervals)",
        "UPDATE state_changes SET change = change + 1",
    ],
)
def test_a_changed_projection_is_reported_as_different(victim: Victim, change: str) -> None:
    victim.ledger.follow(victim.size)
    victim.attack(change)
    assert {kind for kind, _ in victim.found()} == {"projection out of step"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "position"),
    [
        ("UPDATE tiles SET hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1) WHERE level = 0 AND number = 1", 257),
        ("UPDATE tiles SET hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1) WHERE level = 1", 1),
        ("DELETE FROM tiles WHERE level = 0 AND number = 1", 257),
        ("DELETE FROM tiles WHERE level = 1", 1),
    ],
)  # fmt: skip
def test_a_changed_tree_is_reported_apart_from_the_events(
    victim: Victim, change: str, position: int
) -> None:
    victim.attack(change)
    [finding] = victim.findings()
    assert (finding.kind, finding.position, finding.name) == (
        "projection out of step",
        position,
        "tiles",
    )


@pytest.mark.slow
def test_rows_that_violate_constraints_are_found(victim: Victim) -> None:
    victim.ledger.follow(victim.size)
    victim.attack(
        "ALTER TABLE events ALTER data DROP NOT NULL, ALTER name DROP NOT NULL",
        "ALTER TABLE events DROP CONSTRAINT events_pkey",
        "UPDATE events SET data = NULL WHERE position = 20",
        "UPDATE events SET name = NULL WHERE position = 30",
        "UPDATE events SET position = 40 WHERE position = 41",
    )
    assert victim.found()[:2] == [("changed", 20), ("changed", 30)]
    definitions = {("missing", 0), ("changed", 0)}
    assert definitions <= set(victim.found())
    rest = [found for found in victim.found()[2:] if found not in definitions]
    assert {kind for kind, _ in rest} <= {"inserted", "missing", "changed"}
    assert {position for _, position in rest} == {40, 41}
    victim.attack("DELETE FROM log")
    with pytest.raises(BrokenLedgerError):
        victim.audit()


def test_a_checkpoint_in_the_database_that_was_changed_is_found(victim: Victim) -> None:
    victim.attack("UPDATE checkpoints SET note = replace(note, E'\\n' || size, E'\\n' || size - 1)")
    assert victim.found() == [("changed", 0)]


@pytest.mark.slow
def test_from_a_trusted_checkpoint_on_only_what_came_after_is_read(victim: Victim) -> None:
    trusted = victim.hand_out()
    victim.ledger.append_many(simulate(60, 2, "q"))
    victim.ledger.seal()
    read: list[int] = []
    with victim.ledger.connection() as connection:
        found = audit(
            connection, Settings(), (), (), trusted,
            lambda what, done, size: read.append(done) if what == "hashing" else None,
            installed=victim.installed,
        )  # fmt: skip
    assert found.ok
    assert min(read) >= victim.size - 256
    victim.attack(f"UPDATE events SET actor = 'mallory' WHERE position = {victim.size + 5}")
    with victim.ledger.connection() as connection:
        found = audit(connection, Settings(), (), (), trusted, installed=victim.installed)
    [finding] = found.findings
    assert (finding.kind, finding.position) == ("changed", victim.size + 5)


@pytest.mark.slow
def test_a_checkpoint_of_another_log_or_key_is_refused(victim: Victim, tmp_path: Path) -> None:
    file = victim.hand_out()
    note = Note.parse(file.read_text())
    stranger = SigningKey.generate(victim.origin)
    foreign = SigningKey.generate("example.com/other")
    text = note.text.replace(victim.origin, "example.com/other")
    cases = [
        str(Note(note.text, (stranger.sign(note.text),))),
        str(Note(text, (foreign.sign(text),))),
        str(note)[:-20],
        str(note).replace(f"\n{victim.size}\n", f"\n{victim.size - 1}\n"),
        "",
        hashlib.sha256(b"").hexdigest(),
    ]
    for case in cases:
        bad = tmp_path / "bad"
        bad.write_text(case)
        with pytest.raises(ProofError):
            victim.audit(bad)
    # One that nobody knows beside the known one is let be.
    good = tmp_path / "good"
    good.write_text(str(note.with_signatures([stranger.sign(note.text)])))
    assert victim.findings(good) == []
