"""The ledgers of a database are listed, made, described and dropped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from jobledger.infra import Ledger
from jobledger.infra.errors import LedgerBusyError, LedgerNotFoundError
from jobledger.infra.postgres import schema_versions
from jobledger.infra.postgres.connections import connect, conninfo, schema_of
from jobledger.infra.upkeep import ledgers

from tests.desks import Desk


@pytest.fixture
def other(dsn: str) -> Iterator[str]:
    """The name of a ledger that there is none of yet."""
    name = f"other_{os.getpid()}"
    yield name
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema_of(name)} CASCADE".encode())


@pytest.mark.slow
def test_the_commands_make_show_and_drop_a_ledger(
    desk: Desk, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = desk.run
    assert run("ledgers", "create", other) == 0
    assert f"ledger {other!r} is ready" in capsys.readouterr().out
    assert run("ledgers", "create", other) == 2
    assert "exists" in capsys.readouterr().err
    with Ledger.open(desk.dsn, other) as ledger:
        ledger.create("projects/p/jobs/a")
        ledger.started("projects/p/jobs/a")

    assert run("ledgers", "list", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {other, desk.ledger.name} <= rows.keys()
    assert rows[other]["events"] == 2
    assert run("ledgers", "describe", other, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bytes"] == sum(found["tables"].values()) == rows[other]["bytes"]
    assert {"events", "jobs", "tiles"} <= found["tables"].keys()

    assert run("ledgers", "drop", other) == 2, "nobody can be asked here"
    assert "--yes" in capsys.readouterr().err
    assert run("ledgers", "drop", other, "--yes") == 0
    assert "2 events is gone" in capsys.readouterr().out
    assert run("ledgers", "describe", other) == 3
    assert run("ledgers", "drop", other, "--yes") == 3
    assert desk.ledger.size() == 0
    # What proves its history outlives it.
    keys = [file.name for file in Path(os.environ["JOBLEDGER_HOME"], "keys").iterdir()]
    assert any(other in name for name in keys)


def test_a_ledger_in_use_is_not_dropped(
    dsn: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "LOCK_TIMEOUT_MILLISECONDS", 100)
    ledger.create("projects/p/jobs/a")
    with (
        ledger.connection() as reading,
        connect(conninfo(dsn, "public")) as connection,
        reading.transaction(),
    ):
        reading.execute("SET LOCAL application_name = 'a report'")
        reading.execute("SELECT count(*) FROM jobs")
        with pytest.raises(LedgerBusyError, match="a report"):
            ledgers.drop(connection, ledger.name)
    assert ledger.size() == 1


def test_another_ledger_is_not_found(dsn: str, ledger: Ledger) -> None:
    with connect(conninfo(dsn, "public")) as connection:
        assert ledger.name in schema_versions.ledgers(connection)
        for call in (ledgers.describe, ledgers.drop):
            with pytest.raises(LedgerNotFoundError):
                call(connection, "none_of_them")
