"""Ledgers are made once, under a lock, and used only at the version this program knows."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from jobledger.infra import Ledger
from jobledger.infra.errors import SchemaError
from jobledger.infra.postgres import migrate, schema_versions, sql
from jobledger.infra.postgres.connections import connect, conninfo, schema_of
from jobledger.infra.upkeep.rebuild import rebuild_all
from jobledger.projections.catalogue import PROJECTIONS, Projection
from psycopg.sql import SQL, Identifier

from tests.checkout import TESTS
from tests.ledgers import application_of, owned_ledger

LANDED = json.loads((TESTS / "postgres" / "landed.json").read_text())
pytestmark = pytest.mark.unused_schema


@pytest.fixture
def fresh(dsn: str) -> Iterator[str]:
    name = f"fresh_{os.getpid()}"
    yield name
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema_of(name)} CASCADE".encode())


def make(dsn: str, name: str) -> bool:
    with connect(conninfo(dsn, schema_of(name))) as connection:
        return migrate.migrate(connection, name, rebuild_all)


@pytest.mark.slow
def test_eight_at_once_make_one_ledger(dsn: str, fresh: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: make(dsn, fresh), range(8)))
    assert sorted(made) == [False] * 7 + [True]
    with Ledger.open(dsn, fresh) as ledger:
        ledger.create("projects/p/jobs/x")
    assert make(dsn, fresh) is False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            "INSERT INTO migrations (number, name, checksum) VALUES (99, 'future', 'x')",
            f"schema version 99, newer than the {schema_versions.newest()} this program knows; use a newer",
        ),
        (
            "DELETE FROM migrations WHERE number = (SELECT max(number) FROM migrations)",
            f"this program needs {schema_versions.newest()}; .*init",
        ),
        ("UPDATE migrations SET checksum = 'x' WHERE number = 1", "another migration 1"),
        (
            "UPDATE projections SET version = 1 WHERE name = 'intervals'",
            "has version 1 of the projection intervals and this program needs .*; bring it up to date",
        ),
        (
            "UPDATE projections SET version = 99 WHERE name = 'jobs'",
            "has version 99 of the projection jobs, newer than the .* this program knows; use a newer",
        ),
    ],
)
def test_another_version_is_refused_in_one_sentence(
    dsn: str, ledger_name: str, damage: str, sentence: str
) -> None:
    with connect(conninfo(dsn, schema_of(ledger_name))) as connection:
        connection.execute(damage.encode())
    with pytest.raises(SchemaError, match=sentence) as caught:
        Ledger.open(dsn, ledger_name)
    assert caught.value.ledger == ledger_name
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_projection_of_another_version_is_made_again_from_the_events(
    dsn: str, ledger_name: str
) -> None:
    with Ledger.open(dsn, ledger_name) as ledger:
        ledger.create("projects/p/jobs/x", {"a": "b"})
        with ledger.connection() as connection:
            connection.execute("UPDATE projections SET version = 0")
            connection.execute("UPDATE jobs SET labels = '{}'")
    assert make(dsn, ledger_name) is True
    with Ledger.open(dsn, ledger_name) as ledger:
        assert ledger.get("projects/p/jobs/x").labels == {"a": "b"}


@pytest.mark.slow
def test_a_newer_projection_is_left_as_it_is(dsn: str, ledger_name: str) -> None:
    with connect(conninfo(dsn, schema_of(ledger_name))) as connection:
        connection.execute("UPDATE projections SET version = 99 WHERE name = 'search'")
        with pytest.raises(SchemaError, match="version 99 of the projection search, newer"):
            make(dsn, ledger_name)
        (version,) = connection.execute(
            "SELECT version FROM projections WHERE name = 'search'"
        ).fetchone() or (None,)
    assert version == 99


@pytest.mark.slow
def test_granted_roles_can_read_new_tables(dsn: str, ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/x")
    with application_of(dsn, ledger) as application:
        with ledger.connection() as connection:
            connection.execute("DROP TABLE intervals, state_changes, late_jobs")
            connection.execute("DELETE FROM projections WHERE name = 'intervals'")
        assert make(dsn, ledger.name) is True
        assert application.count().counts == {"QUEUED": 1}


@pytest.mark.slow
def test_a_ledger_in_a_renamed_schema_is_refused(dsn: str, fresh: str) -> None:
    make(dsn, fresh)
    before, after = (Identifier(schema_of(name)) for name in (fresh, f"{fresh}_b"))
    with connect(dsn) as connection:
        connection.execute(SQL("ALTER SCHEMA {} RENAME TO {}").format(before, after))
        make(dsn, fresh)
        try:
            for use in (Ledger.open, make):
                with pytest.raises(SchemaError, match="still write to") as refused:
                    use(dsn, f"{fresh}_b")
                assert refused.value.command == (
                    f"ALTER SCHEMA {schema_of(fresh)}_b RENAME TO {schema_of(fresh)}"
                )
        finally:
            connection.execute(SQL("DROP SCHEMA {} CASCADE").format(after))


@pytest.mark.slow
def test_what_a_superuser_brings_up_to_date_belongs_to_the_owner_of_the_ledger(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = b"CREATE TABLE more (x text); CREATE FUNCTION more() RETURNS text LANGUAGE sql AS 'SELECT x FROM more'"
    further = (*schema_versions.migrations(), schema_versions.Migration(99, "more", made))
    with owned_ledger(dsn) as (owner, name):
        for module in (migrate, schema_versions):
            monkeypatch.setattr(module, "migrations", lambda: further)
        assert make(dsn, name) is True
        with connect(conninfo(owner, schema_of(name))) as connection:
            connection.execute("ALTER TABLE more ADD y text")
            connection.execute("ALTER FUNCTION more() RENAME TO less")


@pytest.mark.slow
def test_a_migration_that_fails_leaves_nothing_behind(
    dsn: str, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = (
        *schema_versions.migrations(),
        schema_versions.Migration(99, "broken", b"CREATE TABLE x (y nonsense)"),
    )
    with monkeypatch.context() as patch, pytest.raises(psycopg.errors.UndefinedObject):
        for module in (migrate, schema_versions):
            patch.setattr(module, "migrations", lambda: broken)
        make(dsn, fresh)
    with connect(conninfo(dsn, schema_of(fresh))) as connection:
        assert not schema_versions.exists(connection, fresh)
    assert make(dsn, fresh) is True


def test_landed_migrations_never_change() -> None:
    """Ledgers in use were made by just these bytes: a change is a new file."""
    landed = {f"{m.number:04d}_{m.name}": m.checksum for m in schema_versions.migrations()}
    assert landed == LANDED["migrations"]


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
def test_a_landed_version_of_a_projection_never_changes(projection: Projection) -> None:
    """`init` replaces what a ledger stores of a projection only where the version differs."""
    assert projection.version > 0
    texts = {"schema": projection.schema, "functions": sql.render(*projection.functions).as_bytes()}
    checksums = {part: hashlib.sha256(text).hexdigest() for part, text in texts.items()}
    assert checksums == LANDED["projections"][f"{projection.name} {projection.version}"]
