"""Finds the jobs that were in the states that a filter asks for, if they were few.

How many there were is the sum of some rows of `intervals`. Its latest rows, by which jobs entered the
states, show which jobs they were; a job that entered its state long ago is not among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jobledger.domain.values.filters import All, part_about
from jobledger.domain.values.moments import Clock
from jobledger.infra.postgres import sql
from jobledger.infra.read.lists.filter_sql import Rendering
from psycopg.sql import SQL, Composable, Literal

if TYPE_CHECKING:
    from jobledger.domain.values.filters import Filter
    from jobledger.domain.values.moments import Moment
    from jobledger.infra.postgres.connections import Connection

MIN_EVENTS: Final = 50_000
"""In a ledger with fewer events, reading all jobs takes some milliseconds."""
FEW_JOBS: Final = 100
"""How many jobs are looked up by their states. More are found faster in the order of the list."""
MAX_TRIES: Final = 500
"""How many jobs are looked at whether they still were in the state."""
MAX_ROWS: Final = 20_000
"""How many of the latest rows of `intervals` are read."""
MAX_EVENTS_SINCE: Final = 10_000
"""How many events after the moment's position are checked for an effect on its time."""
COUNT_IN_STATES: Final = sql.template(__package__, "count_in_states")
FIND_IN_STATES: Final = sql.template(__package__, "find_in_states")
ONLY_LATER: Final = sql.load(__package__, "only_later")
OF_CLOCK: Final[dict[Clock, dict[str, Composable]]] = {
    Clock.RECORDED: {
        "states": SQL("states_at(%(position)s)"),
        "state": SQL("state"),
        "place": SQL("position"),
        "until": SQL("position <= %(position)s"),
        "upto": SQL("later.position <= %(position)s"),
        "in_order": SQL("true"),
    },
    Clock.OCCURRED: {
        "states": SQL("states_as_they_happened(%(time)s)"),
        "state": SQL("occurred_state"),
        "place": SQL("occurred_from"),
        "until": SQL("occurred_from <= %(time)s"),
        "upto": SQL("later.occurred_time <= %(time)s"),
        "in_order": SQL("NOT EXISTS (SELECT FROM late_jobs AS late WHERE late.name = e.name)"),
    },
}
"""What the statements read on each clock."""


class InStates(NamedTuple):
    """The jobs in the states that a filter asks for."""

    jobs: int
    """How many they are."""
    names: tuple[str, ...] | None
    """Their names; None if they are many, or were not found."""


def find_in_states(connection: Connection, tree: Filter, moment: Moment) -> InStates | None:
    """Finds the jobs in the states that a filter asks for.

    Args:
        connection: A connection to the ledger's schema.
        tree: The filter.
        moment: As of when.

    Returns:
        The jobs; None if the filter asks for no state, the ledger is small, or `intervals` does not
        know the states as of this moment.
    """
    of_state = part_about(tree, ("state",))
    if of_state == All(()) or moment.position < MIN_EVENTS:
        return None
    rendering = Rendering()
    parts = OF_CLOCK[moment.clock] | {"condition": rendering.condition(of_state)}
    asked = rendering.parameters | {"position": moment.position, "time": moment.time}
    row = connection.execute(COUNT_IN_STATES.format(**parts), asked).fetchone()
    assert row is not None, "each ledger has this projection"
    known, jobs = int(row[0]), int(row[1])
    if not _holds(connection, moment, known):
        return None
    names = _find_names(connection, jobs, parts, asked) if jobs <= FEW_JOBS else ()
    return InStates(jobs, names if len(names) == jobs else None)


def _find_names(
    connection: Connection, jobs: int, parts: dict[str, Composable], asked: dict[str, Any]
) -> tuple[str, ...]:
    limits = {"rows": Literal(MAX_ROWS), "tries": Literal(MAX_TRIES), "limit": Literal(jobs)}
    rows = connection.execute(FIND_IN_STATES.format(**parts, **limits), asked)
    return tuple(name for (name,) in rows)


def _holds(connection: Connection, moment: Moment, known: int) -> bool:
    """Whether what is known at a position is the same as at the moment's."""
    if moment.clock is Clock.RECORDED:
        return known >= moment.position
    return is_known_at(connection, moment, known, MAX_EVENTS_SINCE)


def is_known_at(connection: Connection, moment: Moment, known: int, most: int) -> bool:
    """Whether the events up to a later position, `most` at most, change nothing at the moment's time."""
    if known == moment.position:
        return True
    if not moment.position <= known <= moment.position + most:
        return False
    asked = {"position": moment.position, "known": known, "time": moment.time}
    return connection.execute(ONLY_LATER, asked).fetchone() == (True,)
