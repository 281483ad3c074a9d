"""Finds the next or previous moment at which a job failed or expired, on either clock."""

from typing import Final

from jobledger.domain.values.moments import AtPosition, Clock, Moment
from jobledger.infra.history.counts.activity import Chosen
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import reading_again, translated
from jobledger.infra.read.reader import Reader
from psycopg.sql import SQL

NEXT_FAILURE: Final = sql.template(__package__, "next_failure")
AMONG: Final = SQL(
    "EXISTS (SELECT FROM events AS e WHERE e.position = i.position AND e.name IN ({}))"
)


@reading_again
def next_failure(
    reader: Reader, moment: Moment, chosen: Chosen | None, *, back: bool
) -> Moment | None:
    """The last one before the moment, or the first one after it, of the chosen jobs (None: of all)."""
    reader.follow(moment.position if moment.clock is Clock.OCCURRED else reader.size())
    names, parameters = chosen or (None, {})
    counts = SQL("true") if names is None else AMONG.format(names)
    with translated(), reader.pool.connection() as connection:
        row = connection.execute(
            NEXT_FAILURE.format(counts=counts), {**parameters, **moment._asdict()}
        ).fetchone()
    assert row is not None
    if moment.clock is Clock.OCCURRED:
        time = row[0] if back else row[1]
        return None if time is None else moment._replace(time=time)
    position = row[2] if back else row[3]
    return None if position is None else reader.moment(AtPosition(position))
