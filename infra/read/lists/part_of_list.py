"""A part of the list of all jobs in its default order: a number of jobs after a cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from jobledger.infra.postgres import sql
from psycopg.sql import Literal

if TYPE_CHECKING:
    from jobledger.infra.postgres.connections import Connection
    from psycopg.sql import Composed

NEXT_JOBS: Final = sql.template(__package__, "next_jobs")
READ_LAST: Final = sql.load(__package__, "read_last_of_jobs")


class PartOfList(NamedTuple):
    """The jobs after a create time and a name."""

    limit: int
    created: str = "infinity"
    name: str = ""

    def rows(self) -> Composed:
        """Returns the rows of these jobs, as part of a statement."""
        return NEXT_JOBS.format(**{key: Literal(value) for key, value in self._asdict().items()})

    def following(self, connection: Connection) -> PartOfList | None:
        """Returns the next part, with twice as many jobs; None if this is the last one."""
        row = connection.execute(READ_LAST, self._asdict()).fetchone()
        return None if row is None else PartOfList(2 * self.limit, *row)
