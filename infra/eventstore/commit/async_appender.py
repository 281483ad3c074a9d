"""The same connection for one asyncio loop: it awaits the socket, and does not block the loop."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Self

import psycopg
from jobledger.domain.job import Job
from jobledger.infra.eventstore.commit.appender import (
    APPEND,
    FIND_REQUESTS,
    READ_JOBS,
    append_parameters,
    checked,
    jobs_by_name,
    placed_of,
)
from jobledger.infra.eventstore.stored_event import Placed, Row
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import PLAN_ONCE, AsyncConnection, connect_async
from jobledger.projections.jobs import Change
from psycopg import pq
from psycopg.generators import execute

KEEP_SESSION_TO_INDEXES: Final = sql.load(__package__, "keep_session_to_indexes")


class AsyncAppender:
    """One connection, used by one task at a time."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self.outcome_unknown = False
        """Whether something was sent that the server has not answered for."""

    @classmethod
    async def connect(cls, info: str) -> Self:
        """Connects, and prepares `append`; raises LedgerUnavailableError."""
        appender = cls(await connect_async(info))
        await appender._connection.execute(PLAN_ONCE)
        await appender._connection.execute(KEEP_SESSION_TO_INDEXES)
        appender._pg.send_prepare(b"append", APPEND)
        await appender._result()
        return appender

    @property
    def broken(self) -> bool:
        """Whether the connection is lost."""
        return self._pg.status != pq.ConnStatus.OK

    async def close(self) -> None:
        """Closes the connection."""
        await self._connection.close()

    async def load(self, names: Sequence[str]) -> dict[str, Job]:
        """Returns the current state of these jobs; a job that does not exist has version 0."""
        return jobs_by_name(names, await self._rows(READ_JOBS, names)) if names else {}

    async def find_requests(self, request_ids: Sequence[str]) -> dict[str, str]:
        """Returns the request ids that were used before, with the job that each was used for."""
        return dict(await self._rows(FIND_REQUESTS, request_ids)) if request_ids else {}

    def send(
        self, rows: Sequence[Row], request_ids: Sequence[str], changes: Iterable[Change]
    ) -> None:
        """Sends the same statement as Appender.append; `placed` receives its result."""
        parameters = append_parameters(rows, request_ids, changes)
        self.outcome_unknown = True
        self._pg.send_query_prepared(b"append", parameters)
        self._pg.flush()

    async def placed(self, count: int) -> Placed:
        """Returns where the rows that were sent are written; raises the same errors as Appender.append."""
        result = await self._result()
        self.outcome_unknown = self._pg.transaction_status != pq.TransactionStatus.IDLE
        return placed_of(result, count)

    async def _rows(self, statement: bytes, values: Sequence[str]) -> list[tuple[Any, ...]]:
        cursor = await self._connection.execute(statement, (list(values),), binary=True)
        return await cursor.fetchall()

    async def _result(self) -> pq.abc.PGresult:
        results: list[pq.abc.PGresult] = await self._connection.wait(execute(self._pg))
        try:
            return checked(self._pg, results[-1])
        except psycopg.Error:
            self.outcome_unknown = self.outcome_unknown and self.broken
            raise
