"""Rights of a role that only reads the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from jobledger.infra import Ledger
from jobledger.infra.postgres import grants, migrate
from jobledger.infra.postgres.connections import conninfo, schema_of
from jobledger.infra.postgres.grants import Right
from jobledger.infra.upkeep.definitions import check_definitions
from jobledger.infra.upkeep.rebuild import rebuild_all
from psycopg.conninfo import make_conninfo

from tests.command_line import Cli

Connection = psycopg.Connection[Any]
OWN = "relnamespace = current_schema()::regnamespace"


@pytest.fixture
def reader(dsn: str, ledger: Ledger, cli: Cli) -> Iterator[Connection]:
    """A connection of a role that `init --read-to` named."""
    role = f"reader_{ledger.name}"
    ledger.create("projects/p/jobs/j", {"team": "a"})
    ledger.started("projects/p/jobs/j")
    with ledger.connection() as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN".encode())
        cli("init", "--read-to", role)
        info = make_conninfo(conninfo(dsn, schema_of(ledger.name)), user=role)
        with psycopg.connect(info, autocommit=True) as connection:
            yield connection
        owner.execute(f"DROP OWNED BY {role}".encode())
        owner.execute(f"DROP ROLE {role}".encode())


@pytest.mark.slow
@pytest.mark.parametrize(
    "view", ["jobs", "job_events", "job_intervals", "google_ml_jobs", "jobs_as_of(now())"]
)
def test_it_reads_what_analysts_read(reader: Connection, view: str) -> None:
    assert reader.execute(f"SELECT * FROM {view}".encode()).fetchall() != []


def test_it_sees_no_keys_and_no_tokens(reader: Connection) -> None:
    for table in grants.SECRET_TABLES:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(f"SELECT * FROM {table}".encode())


def test_it_writes_to_no_table(reader: Connection) -> None:
    writes = reader.execute(
        f"SELECT relname FROM pg_class WHERE {OWN} AND relkind IN ('r', 'v', 'p')"
        " AND has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')".encode()
    )
    assert writes.fetchall() == []


def test_functions_with_more_rights_let_it_catch_projections_up_and_no_more(
    reader: Connection,
) -> None:
    callable_ = reader.execute(
        "SELECT proname::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
        " AND prosecdef AND has_function_privilege(oid, 'EXECUTE') ORDER BY 1"
    )
    assert callable_.fetchall() == [("follow",), ("position_recorded",)]


@pytest.mark.slow
def test_what_a_restore_without_privileges_lets_it_call_is_taken_away(
    reader: Connection, ledger: Ledger
) -> None:
    with ledger.connection() as owner:
        owner.execute("GRANT EXECUTE ON FUNCTION keep_checkpoint TO PUBLIC")
        (found,) = check_definitions(owner)
        assert found.kind == "extra"
        assert found.name == f"function {schema_of(ledger.name)}.keep_checkpoint(bigint,text)"
        owner.execute("GRANT EXECUTE ON FUNCTION append TO PUBLIC")
        assert migrate.migrate(owner, ledger.name, rebuild_all)
        assert check_definitions(owner) == []
        assert grants.granted(owner) == [(reader.info.user, Right.READ)]
        assert not migrate.migrate(owner, ledger.name, rebuild_all)


@pytest.mark.slow
def test_it_stays_a_reader(reader: Connection, ledger: Ledger) -> None:
    role = reader.info.user
    with ledger.connection() as owner:
        assert grants.granted(owner) == [(role, Right.READ)]
        grants.grant(owner, ledger.name, role, Right.APPEND)
        assert grants.granted(owner) == [(role, Right.APPEND)]
        grants.grant(owner, ledger.name, role, Right.READ)
        migrate.migrate(owner, ledger.name, rebuild_all)
        assert grants.granted(owner) == [(role, Right.READ)]
        assert check_definitions(owner) == []
