"""Events about the ledger itself, such as erasures and prunings. Each kind has its own stream.

They have schema 0 and belong to no job. The same transaction also makes the change that they record.
"""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Final

from jobledger.domain.errors import RequestReusedError
from jobledger.domain.job import Job
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import parse_text
from jobledger.infra.errors import OwnerNeededError
from jobledger.infra.eventstore.commit.appender import READ_VERSIONS, Appender
from jobledger.infra.eventstore.stored_event import Placed, foreign_row
from jobledger.infra.eventstore.writes.pending import Pending
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, Pool, translated

MAY_DELETE: Final = sql.load(__package__, "may_delete")
FIND_REQUEST: Final = sql.load(__package__, "find_request")
IS_OWNER: Final = sql.load(__package__, "is_owner")


class LedgerEventWrite(Pending):
    """Writes an event about the ledger itself, together with the change that it records."""

    alone = True
    stream: str
    type: str

    def __init__(
        self, actor: str | None, request_id: str | None = None, asked: JsonObject | None = None
    ) -> None:
        """`request_id` makes the write idempotent: if the stream has it already, the answer is its event.

        `asked` is the event's data, which must be the same in a repeated request.
        """
        super().__init__()
        self._actor = parse_text("actor", actor)
        self._request_id = request_id
        self._asked = asked
        self.earlier: Placed | None = None

    @abstractmethod
    def do(self, connection: Connection) -> JsonObject | None:
        """Makes the change, with the head locked, and returns the event's data; None if there is nothing to do."""

    def done(self, connection: Connection, position: int) -> None:
        """Makes the changes that need the event's position."""

    def decide(self, jobs: dict[str, Job]) -> None:
        """Does nothing, because the event belongs to no job."""

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        """Writes the event and makes the change, in one transaction; returns None if there is nothing to do."""
        self.decide(jobs)
        if self._is_repeated(appender.connection):
            return None
        recorded_data = self.do(appender.connection)
        if recorded_data is None:
            return None
        if self._request_id is not None:
            recorded_data = recorded_data | {"requestId": self._request_id}
        versions: dict[str, int] = dict(
            appender.connection.execute(READ_VERSIONS, ([self.stream],)).fetchall()
        )
        version = versions.get(self.stream, 0) + 1
        data = canonical.encode(recorded_data)
        self.rows = [foreign_row(self.stream, version, self.type, data, self._actor)]
        placed = appender.append(self.rows, [], [])
        self.done(appender.connection, placed.first_position)
        return placed

    def _is_repeated(self, connection: Connection) -> bool:
        """Whether the same request was made before; raises RequestReusedError if the id was used for another one."""
        if self._request_id is None:
            return False
        row = connection.execute(FIND_REQUEST, (self.stream, self._request_id)).fetchone()
        if row is None:
            return False
        position, type_, data, recorded_time = row
        asked = {**(self._asked or {}), "requestId": self._request_id}
        if type_ != self.type or canonical.encode(asked) != data:
            raise RequestReusedError(self._request_id, self.stream)
        self.earlier = Placed(position, recorded_time)
        return True

    def position(self) -> int:
        """Returns the position of the event, which this write or an earlier one of the same request wrote."""
        placed = self.placed or self.earlier
        assert placed is not None
        return placed.first_position


def check_may_delete(pool: Pool, tables: Iterable[str], what: str) -> None:
    """Raises OwnerNeededError unless this role may delete from these tables."""
    with translated(), pool.connection() as connection:
        row = connection.execute(MAY_DELETE, (list(tables),)).fetchone()
    if row != (True,):
        raise OwnerNeededError(what)


def check_owner(pool: Pool, what: str) -> None:
    """Raises OwnerNeededError unless the session is of the ledger's owner, who alone writes events of its own."""
    with translated(), pool.connection() as connection:
        row = connection.execute(IS_OWNER).fetchone()
    if row != (True,):
        raise OwnerNeededError(what)
