"""Reads after a restart: broken connections are replaced, and a read that lost its connection is retried."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest
from jobledger.infra import AsyncLedger, Ledger
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.postgres import migrate
from jobledger.infra.postgres.connections import connect, schema_of
from jobledger.infra.postgres.server import server
from jobledger.infra.upkeep.rebuild import rebuild_all

from tests.clusters import new_cluster
from tests.http.test_http_stream import eventually

NAME = "projects/p/jobs/a"
READS: dict[str, Callable[[Ledger], Any]] = {
    "get": lambda ledger: ledger.get(NAME).version,
    "as of": lambda ledger: ledger.get(NAME, as_of="@1").version,
    "list": lambda ledger: [job.name for job in ledger.list()],
    "scan": lambda ledger: [job.name for job in ledger.scan()],
    "count": lambda ledger: ledger.count().counts,
    "history": lambda ledger: len(ledger.history(NAME)),
    "events": lambda ledger: len([*ledger.events(follow=False)]),
    "size": lambda ledger: ledger.size(),
    "diff": lambda ledger: len([*ledger.diff(NAME, "v1", "v2")]),
}
AT_ONCE = 12


def fill_pool(ledger: Ledger) -> None:
    """Leaves many connections idle in the pool of readers."""
    together = Barrier(AT_ONCE)
    readers = ledger.pool if isinstance(ledger, Ledger) else ledger.ledger.pool

    def use() -> None:
        with readers.connection():
            together.wait(60)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for used in [pool.submit(use) for _ in range(AT_ONCE)]:
            used.result()


def terminate(connection: psycopg.Connection[Any], condition: str) -> int:
    """Ends the sessions of this database that the condition names, other than this one."""
    statement = (
        "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname ="
        f" current_database() AND pid <> pg_backend_pid() AND {condition}"
    )
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.slow
@pytest.mark.both_forms
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_no_read_fails_after_all_sessions_were_ended(
    ledger: Ledger, dsn: str, read: Callable[[Ledger], Any]
) -> None:
    ledger.create(NAME)
    ledger.started(NAME)
    before = read(ledger)
    fill_pool(ledger)
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert terminate(connection, "application_name = ''") >= AT_ONCE
    assert [read(ledger) for _ in range(3)] == [before] * 3


@pytest.mark.slow
@pytest.mark.both_forms
def test_a_personal_value_is_written_after_all_sessions_were_ended(
    ledger: Ledger, dsn: str
) -> None:
    """Its key is found on a connection of readers, and that may be repeated."""
    fill_pool(ledger)
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert terminate(connection, "application_name = ''") >= AT_ONCE
    part = {"@personal": {"subject": "user:alice", "value": "Alice"}}
    assert ledger.create(NAME, spec={"owner": part}).version == 1


@pytest.mark.both_forms
def test_a_read_that_loses_its_connection_is_made_again(ledger: Ledger, dsn: str) -> None:
    ledger.create(NAME)
    waiting = "wait_event_type = 'Lock'"
    with (
        psycopg.connect(dsn) as locking,
        psycopg.connect(dsn, autocommit=True) as connection,
        ThreadPoolExecutor(1) as pool,
    ):
        locking.execute(f"LOCK TABLE {schema_of(ledger.name)}.jobs".encode())
        answer = pool.submit(ledger.list)
        eventually(lambda: terminate(connection, waiting) == 1)
        locking.rollback()
        assert [job.name for job in answer.result(60)] == [NAME]


def test_a_read_that_loses_each_connection_is_refused(ledger: Ledger, dsn: str) -> None:
    ledger.create(NAME)
    with (
        psycopg.connect(dsn) as locking,
        psycopg.connect(dsn, autocommit=True) as connection,
        ThreadPoolExecutor(1) as pool,
    ):
        locking.execute(f"LOCK TABLE {schema_of(ledger.name)}.jobs".encode())
        answer = pool.submit(ledger.list)
        for _ in range(2):
            eventually(lambda: terminate(connection, "wait_event_type = 'Lock'") == 1)
        with pytest.raises(LedgerUnavailableError) as raised:
            answer.result(60)
        assert raised.value.lost
        locking.rollback()
    assert len(ledger.list()) == 1


@pytest.mark.slow
def test_no_read_fails_after_a_restart() -> None:
    with new_cluster() as cluster:
        info = server(cluster.dsn, "years")
        with connect(info) as connection:
            migrate.migrate(connection, "years", rebuild_all)
        with Ledger.open(cluster.dsn, "years") as ledger:
            ledger.create(NAME)
            fill_pool(ledger)
            cluster.stop()
            cluster.start()
            with ThreadPoolExecutor(AT_ONCE) as pool:
                found = pool.map(lambda _: ledger.list(), range(2 * AT_ONCE))
            assert [[job.name for job in jobs] for jobs in found] == [[NAME]] * 2 * AT_ONCE


@pytest.mark.slow
def test_no_read_of_a_task_fails_after_a_restart(loop_factory: Any) -> None:
    import asyncio

    async def main(dsn: str) -> list[str]:
        async with await AsyncLedger.open(dsn, "years") as ledger:
            await ledger.create(NAME)
            await asyncio.gather(*(ledger.list() for _ in range(AT_ONCE)))
            await asyncio.to_thread(restart)
            jobs = await asyncio.gather(*(ledger.get(NAME) for _ in range(AT_ONCE)))
            lists = await asyncio.gather(*(ledger.list() for _ in range(AT_ONCE)))
            return [job.name for job in (*jobs, *(each[0] for each in lists))]

    with new_cluster() as cluster:

        def restart() -> None:
            cluster.stop()
            cluster.start()

        with connect(server(cluster.dsn, "years")) as connection:
            migrate.migrate(connection, "years", rebuild_all)
        # In a thread: a browser of the same process has a running loop in this one.
        with asyncio.Runner(loop_factory=loop_factory) as runner, ThreadPoolExecutor(1) as thread:
            assert thread.submit(runner.run, main(cluster.dsn)).result() == [NAME] * 2 * AT_ONCE
