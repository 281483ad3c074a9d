"""What tests of AsyncLedger share: writers kept waiting, backends ended, connections counted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from jobledger import AsyncLedger
from jobledger.infra.eventstore.commit.appender import LOCK_HEAD
from jobledger.infra.postgres.connections import AsyncConnection

_OF_BLOCKED = """
FROM pg_stat_activity AS a
WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE %s AND EXISTS (
    SELECT FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
    WHERE l.pid = a.pid AND l.database = (SELECT oid FROM pg_database WHERE datname = a.datname)
      AND c.relnamespace = current_schema()::regnamespace)
"""
"""Not those that wait in another ledger of the database, such as one that is emptied after a test."""
BLOCKED = f"SELECT count(*) {_OF_BLOCKED}"
END_BLOCKED = f"SELECT pg_terminate_backend(pid) {_OF_BLOCKED}"
CONNECTED = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
COMMITS = "SELECT count(*) FROM events GROUP BY xmin::text ORDER BY min(position)"


@asynccontextmanager
async def writers_wait(ledger: AsyncLedger) -> AsyncIterator[AsyncConnection]:
    """Keeps commits of the ledger waiting meanwhile."""
    async with locked(ledger, LOCK_HEAD.decode()) as connection:
        yield connection


@asynccontextmanager
async def locked(ledger: AsyncLedger, statement: str) -> AsyncIterator[AsyncConnection]:
    """A transaction that holds what the statement locks."""
    async with await ledger.connection() as connection, connection.transaction():
        await connection.execute(statement.encode())
        yield connection


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Waits until it is so."""
    for _ in range(3_000):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"in vain: {what}")


async def blocked(connection: AsyncConnection, query: str = "%append(%", count: int = 1) -> None:
    """Waits until so many backends that run such a query wait for a lock."""

    async def are_blocked() -> bool:
        # A transaction would go on to see what it saw first.
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        return await number(connection, BLOCKED, query) == count

    await until(are_blocked, f"{count} backends wait in {query}")


async def connections(dsn: str, application: str, count: int) -> None:
    """Waits until the application has so many connections."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:

        async def are_connected() -> bool:
            return await number(connection, CONNECTED, application) == count

        await until(are_connected, f"{application} has {count} connections")


async def commits(ledger: AsyncLedger) -> list[int]:
    """How many events each transaction wrote."""
    async with await ledger.connection() as connection:
        cursor = await connection.execute(COMMITS)
        return [row[0] for row in await cursor.fetchall()]


async def number(connection: AsyncConnection, statement: str, *parameters: Any) -> int:
    """The number that a statement returns."""
    cursor = await connection.execute(statement.encode(), parameters)
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])
