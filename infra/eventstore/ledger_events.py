"""Events about the ledger itself, such as erasures and prunings. Each is the next of its stream.

They have schema 0 and belong to no job. Their transaction also makes the change that they record.
"""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Final

from jobledger.domain.job import Job
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.errors import OwnerNeededError
from jobledger.infra.eventstore.commit.appender import READ_VERSIONS, Appender
from jobledger.infra.eventstore.commit.pending import Pending
from jobledger.infra.eventstore.stored_event import Placed, foreign_row
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from psycopg_pool import ConnectionPool

MAY_DELETE: Final = sql.load(__package__, "may_delete")


class LedgerEventWrite(Pending):
    """An event about the ledger itself, written together with the change that it records."""

    alone = True
    stream: str
    type: str

    def __init__(self, actor: str | None) -> None:
        super().__init__()
        self._actor = actor

    @abstractmethod
    def do(self, connection: Connection) -> JsonObject | None:
        """Makes the change, and returns its event's data; None if there is nothing to do. The head is locked."""

    def done(self, connection: Connection, position: int) -> None:
        """Does what takes the position of the record."""

    def decide(self, jobs: dict[str, Job]) -> None:
        """Empty: the event is of no job."""

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        """Writes the event and does what it records, in one transaction; None if there is nothing to do."""
        self.decide(jobs)
        recorded_data = self.do(appender.connection)
        if recorded_data is None:
            return None
        versions: dict[str, int] = dict(
            appender.connection.execute(READ_VERSIONS, ([self.stream],)).fetchall()
        )
        version = versions.get(self.stream, 0) + 1
        data = canonical.encode(recorded_data)
        self.rows = [foreign_row(self.stream, version, self.type, data, self._actor)]
        placed = appender.append(self.rows, [], [])
        self.done(appender.connection, placed.first_position)
        return placed


def check_may_delete(pool: ConnectionPool[Connection], tables: Iterable[str], what: str) -> None:
    """Raises OwnerNeededError unless this role may delete from these tables."""
    with translated(), pool.connection() as connection:
        row = connection.execute(MAY_DELETE, (list(tables),)).fetchone()
    if row != (True,):
        raise OwnerNeededError(what)
