"""A part of the list of all jobs in its default order: so many jobs from a place on."""

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
    """The jobs after one of a create time and a name."""

    limit: int
    created: str = "infinity"
    name: str = ""

    def rows(self) -> Composed:
        """The rows of these jobs, as part of a statement."""
        return NEXT_JOBS.format(**{key: Literal(value) for key, value in self._asdict().items()})

    def following(self, connection: Connection) -> PartOfList | None:
        """The next part, of twice as many jobs; None if this is the last one."""
        row = connection.execute(READ_LAST, self._asdict()).fetchone()
        return None if row is None else PartOfList(2 * self.limit, *row)
