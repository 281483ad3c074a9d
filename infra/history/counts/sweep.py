"""Checks events one by one: counts the jobs that a filter matches after each."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from jobledger.domain.values.filters import Filter, Restriction, parts_of
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.history.counts.conditions import Condition
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.read.lists.filter_sql import OF_AN_EVENT, STEPS, Rendering
from psycopg.sql import SQL, Composable, Composed

SWEEP: Final = sql.template(__package__, "sweep")
SWEEP_VALID_TIME: Final = sql.template(__package__, "sweep_valid_time")
BATCH_EVENTS: Final = 5_000
"""Events swept by one statement."""


class Hit(NamedTuple):
    """The event after which the number of jobs first met the condition, and that number."""

    position: int
    jobs: int
    time: datetime | None = None
    """When it occurred; None on the recorded clock."""

    def is_by(self, moment: Moment) -> bool:
        """Whether the condition was met by that moment."""
        return self.position <= moment.position if self.time is None else self.time <= moment.time


class Sweep:
    """Counts the jobs that match after each event, up to a moment: of all jobs, or of one.

    In valid time it counts at each time, after all events of that time. Raises InvalidFieldError
    for an unknown field or value of the filter.
    """

    def __init__(self, condition: Condition, later: Moment, name: str | None = None) -> None:
        self._recorded = later.clock is Clock.RECORDED
        self._later = later
        rendering = _AtEachStep(later)
        self._statement = _statement(condition, rendering, self._recorded, name)
        self._parameters = rendering.parameters | {
            "name": name,
            "number": condition.number,
            "most": BATCH_EVENTS,
            "to_position": later.position,
            "to_time": later.time,
        }

    def first(self, connection: Connection, earlier: Moment, start: int) -> Hit | None:
        """Returns the first event after a moment, with `start` jobs, that meets the condition."""
        batches = self._batches(connection, earlier, self._later, start)
        return next((hit for _, hit in batches if hit is not None), None)

    def count(self, connection: Connection, earlier: Moment, later: Moment) -> int:
        """Returns the number of jobs at a moment; at the earlier one there were none."""
        counts = [jobs for jobs, _ in self._batches(connection, earlier, later, 0)]
        return counts[-1] if counts else 0

    def _batches(
        self, connection: Connection, earlier: Moment, later: Moment, start: int
    ) -> Iterator[tuple[int, Hit | None]]:
        """Yields, batch by batch, the number after some events and the first hit among them."""
        after: Any = earlier.position if self._recorded else earlier.time
        upto = {"to_position": later.position} if self._recorded else {"to_time": later.time}
        while True:
            place = self._parameters | upto | {"after": after, "start": start}
            with translated():
                # Planned for these very values: a job's few events, or all there are.
                row = connection.execute(self._statement, place, prepare=False).fetchone()
            if row is None:
                return
            after, start, position, *found = row
            yield int(start), None if position is None else Hit(position, *found)


def _statement(
    condition: Condition, rendering: Rendering, recorded: bool, name: str | None
) -> Composed:
    statement = SWEEP if recorded else SWEEP_VALID_TIME
    return statement.format(
        which=SQL("true") if name is None else SQL("name = %(name)s"),
        condition=rendering.condition(condition.filter),
        comparison=condition.comparison,
    )


def is_decided_by_events(term: Filter) -> bool:
    """Whether each event by itself shows if it made the filter match."""
    asked = {part.field for part in parts_of(term) if isinstance(part, Restriction)}
    return asked <= OF_AN_EVENT


class _AtEachStep(Rendering):
    """Conditions on a job as of each row of `step`: its position, or its time as known then."""

    def _ever(self, term: Filter) -> Composable:
        assert self._moment is not None
        super()._ever(term)  # Refuses an invalid question.
        known: Composable = SQL("step.position")
        upto: Composable = SQL("past.position + 0 <= step.position")
        if not self._on_recorded:
            known = self.parameter(self._moment.position)
            upto = SQL("(past.position + 0 <= {} AND past.occurred_time <= step.time)").format(
                known
            )
        of_clock = "AT" if self._on_recorded else "VALID_TIME"
        steps = STEPS["ENTERED" if is_decided_by_events(term) else of_clock]
        parts = {"position": known, "upto": upto, "condition": self.condition(term)}
        return steps.format(**parts, entered=self._entered)
