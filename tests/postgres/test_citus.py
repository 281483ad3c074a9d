"""A ledger on one node of a Citus cluster: made, written, moved while it is written, and brought up to date."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra import Ledger
from jobledger.infra.errors import SchemaError
from jobledger.infra.postgres import migrate, placing, schema_versions
from jobledger.infra.postgres.connections import Connection, connect, conninfo, schema_of
from jobledger.infra.postgres.grants import Right
from jobledger.infra.postgres.schema_versions import Migration
from jobledger.infra.transfer.traces.simulation import simulate
from jobledger.infra.upkeep.rebuild import rebuild, rebuild_all
from jobledger.infra.upkeep.rehearse import rehearse
from jobledger.infra.upkeep.verify import verify
from jobledger.projections.catalogue import INTERVALS, JOBS, PROJECTIONS

from tests.command_line import Cli
from tests.databases import is_on_citus

MOVE = """
SELECT citus_schema_move(%(schema)s::regnamespace, nodename, nodeport, shard_transfer_mode := 'force_logical')
FROM pg_dist_node WHERE noderole = 'primary' AND shouldhaveshards AND groupid NOT IN (
    SELECT groupid FROM pg_dist_placement JOIN pg_dist_shard USING (shardid)
    WHERE logicalrelid = format('%%I.events', %(schema)s::text)::regclass
) LIMIT 1
"""
"""Moves a ledger to another node."""
on_citus = pytest.mark.skipif(not is_on_citus(), reason="needs JOBLEDGER_TEST_CITUS_DSN")


@pytest.fixture
def owner(dsn: str, ledger_name: str) -> Iterator[Connection]:
    """A connection of the owner to an empty ledger."""
    with connect(conninfo(dsn, schema_of(ledger_name))) as connection:
        yield connection


@pytest.mark.plain_server
def test_without_citus_the_ledger_is_made_and_the_option_refused(cli: Cli) -> None:
    done = cli.run("init", "--citus")
    assert done.returncode == 2
    assert "citus: this database has no extension citus" in done.stderr
    assert cli.json("list", "--json") == []


@on_citus
def test_a_ledger_on_a_node_answers_as_any(ledger: Ledger) -> None:
    ledger.append_many(simulate(60, 2, "p"))
    with ledger.connection() as connection:
        assert schema_versions.is_placed(connection)
        before = connection.execute("SELECT * FROM jobs ORDER BY name").fetchall()
        for projection in PROJECTIONS:
            assert rebuild(connection, projection) == ledger.size()
        assert connection.execute("SELECT * FROM jobs ORDER BY name").fetchall() == before
    with ledger.connection() as connection:
        assert verify(connection).findings == []


@on_citus
def test_a_ledger_is_moved_while_it_is_written(ledger: Ledger) -> None:
    done = threading.Event()

    def write(writer: int) -> list[str]:
        names: list[str] = []
        while not done.is_set():
            names.append(ledger.create(f"projects/p/jobs/w{writer}-{len(names)}").name)
        return names

    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write, writer) for writer in range(4)]
        with ledger.connection() as connection:
            moved = connection.execute(MOVE, {"schema": schema_of(ledger.name)}).rowcount
        done.set()
        acknowledged = {name for writer in writers for name in writer.result()}
    if not moved:
        pytest.skip("the cluster has one node")
    assert {job.name for job in ledger.list()} == acknowledged
    assert ledger.size() == len(acknowledged)


@on_citus
def test_what_needs_another_schema_is_refused(owner: Connection) -> None:
    assert rehearse(owner, JOBS).changed == 0
    with pytest.raises(SchemaError, match="rehearsals of intervals and search"):
        rehearse(owner, INTERVALS)


@on_citus
def test_only_the_owner_may_write(owner: Connection) -> None:
    assert not placing.place(owner)
    placing.check_rights([("analyst", Right.READ)])
    with pytest.raises(InvalidFieldError, match="app may only read a ledger on Citus"):
        placing.check_rights([("app", Right.APPEND)])


@on_citus
def test_a_placed_ledger_is_withdrawn_migrated_and_placed_again(
    owner: Connection, ledger_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Migration(
        schema_versions.newest() + 1, "later", b"CREATE TABLE later (name text PRIMARY KEY)"
    )
    applied = (*schema_versions.migrations(), later)
    for module in (migrate, schema_versions):
        monkeypatch.setattr(module, "migrations", lambda: applied)
    with pytest.raises(SchemaError, match="on a node of a Citus cluster"):
        migrate.migrate(owner, ledger_name, rebuild_all)
    placing.withdraw_to_migrate(owner, ledger_name)
    assert not schema_versions.is_placed(owner)
    assert migrate.migrate(owner, ledger_name, rebuild_all)
    assert placing.place(owner)
    assert owner.execute("SELECT count(*) FROM later").fetchone() == (0,)
