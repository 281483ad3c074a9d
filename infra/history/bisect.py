"""Bisect: the first moment at which a condition on a job, or on the number of jobs, was true.

In transaction time each position is a moment. In valid time each time is a moment, after all events
of that time: a condition that was true only between two events of the same microsecond is never
found.
"""

from datetime import timedelta
from typing import Final, NamedTuple

from jobledger.domain.states import JobState
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.filters import Ever, parse_filter
from jobledger.domain.values.moments import AtPosition, AtTime, Clock, Moment
from jobledger.domain.values.names import EARLIEST
from jobledger.infra.eventstore.json_view import event_json, moment_json
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.history.counts.conditions import ALL_JOBS, Condition, parse_condition
from jobledger.infra.history.counts.sweep import Hit, Sweep, is_decided_by_events
from jobledger.infra.history.timeline import Span, ordered, steps_as_of
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.read.reader import Reader

FIRST_COUNT: Final = sql.template(__package__, "first_count")
FIRST_COUNT_VALID_TIME: Final = sql.template(__package__, "first_count_valid_time")
IS_SUPERSEDED: Final = sql.load(__package__, "is_superseded")


class Found(NamedTuple):
    """The first moment at which the condition was true.

    Attributes:
        moment: The moment.
        event: The event that made it true; None if it was true already at the first moment.
        jobs: How many jobs were counted then.
    """

    moment: Moment
    event: RecordedEvent | None
    jobs: int

    def json(self) -> JsonObject:
        """Returns the moment, the event and the number as JSON."""
        event = None if self.event is None else event_json(self.event)
        return moment_json(self.moment) | {"event": event, "count": self.jobs}


def beginning(later: Moment) -> Moment:
    """Returns the moment before all events, on the clock of the given one."""
    if later.clock is Clock.RECORDED:
        return later._replace(position=0, time=EARLIEST)
    return later._replace(time=EARLIEST - timedelta(microseconds=1))


def bisect_job(
    reader: Reader, name: str, filter: str, earlier: Moment, later: Moment
) -> Found | None:
    """Finds the first moment between two, inclusive, at which the filter matched the job.

    Each event is checked, so a condition that was true only for a while is found too. For n events
    this takes as long as folding n * n / 2 events, and n times longer for an ever() together with other
    terms that needs more than states and error codes.

    Args:
        reader: The ledger.
        name: The job's resource name.
        filter: An AIP-160 filter.
        earlier: The first moment.
        later: The last moment, of the same clock.

    Returns:
        The moment with the job then; None if the filter never matched.

    Raises:
        JobNotFoundError: There is no such job.
        InvalidFieldError: The filter cannot be parsed.
    """
    ordered(earlier, later)
    tree = parse_filter(filter)
    sweep = Sweep(Condition(filter, tree, ">", 0), later, name)
    steps_as_of(reader, name, later)  # Raises JobNotFoundError for a missing job.
    known = _known(earlier, later)
    with reader.connection() as connection:
        if isinstance(tree, Ever) and not is_decided_by_events(tree.term):
            # The condition is true from the first moment at which one of its terms is.
            sweep = Sweep(Condition(filter, tree.term, ">", 0), later, name)
            hit = sweep.first(connection, beginning(later), 0)
            already = hit is not None and hit.is_by(known)
        else:
            already = sweep.count(connection, beginning(later), known) > 0
            hit = None if already else sweep.first(connection, known, 0)
    return Found(known, None, 1) if already else _found(reader, later, hit)


def bisect_count(reader: Reader, condition: str, earlier: Moment, later: Moment) -> Found | None:
    """Finds the first moment between two, inclusive, at which a condition on all jobs was true.

    The number of jobs in a state, or of all jobs, is a running sum over `intervals`; for a filter,
    each event's job is checked after it.

    Args:
        reader: The ledger.
        condition: Such as 'running > 4000', or 'count(FILTER) > 3'.
        earlier: The first moment.
        later: The last moment, of the same clock.

    Returns:
        The moment with the number then; None if the condition was never true.

    Raises:
        InvalidFieldError: The condition cannot be parsed.
    """
    ordered(earlier, later)
    wanted, known = parse_condition(condition), _known(earlier, later)
    sweep = Sweep(wanted, later)
    start = _count(reader, wanted, known)
    if wanted.holds(start):
        return Found(known, None, start)
    reader.follow(later.position)
    with reader.connection() as connection, translated(), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if wanted.state is not None and _is_decided_by_intervals(connection, later):
            hit = _first_count(connection, wanted, (known, later), start)
        else:
            hit = sweep.first(connection, known, start)
    return _found(reader, later, hit)


def _known(earlier: Moment, later: Moment) -> Moment:
    """Returns the earlier moment as known at the later one, in valid time."""
    if earlier.clock is Clock.RECORDED:
        return earlier
    return earlier._replace(position=later.position)


def _count(reader: Reader, wanted: Condition, moment: Moment) -> int:
    if wanted.state is None:
        return sum(reader.count("state", wanted.text, as_of=moment).counts.values())
    states = reader.count(as_of=moment).counts
    if wanted.state == ALL_JOBS:
        return sum(jobs for state, jobs in states.items() if state is not None)
    return states.get(JobState(wanted.state).name, 0)


def _is_decided_by_intervals(connection: Connection, later: Moment) -> bool:
    """Whether `intervals` can answer: not if events recorded later changed the order in valid time."""
    if later.clock is Clock.RECORDED:
        return True
    row = connection.execute(IS_SUPERSEDED, (later.position,)).fetchone()
    return row is not None and not row[0]


def _first_count(
    connection: Connection, wanted: Condition, span: tuple[Moment, Moment], start: int
) -> Hit | None:
    recorded = span[1].clock is Clock.RECORDED
    statement = FIRST_COUNT if recorded else FIRST_COUNT_VALID_TIME
    text = statement.format(comparison=wanted.comparison)
    asked = {"start": start, "state": wanted.state, "number": wanted.number}
    row = connection.execute(text, asked | Span(*span).parameters).fetchone()
    return None if row is None else Hit(*row)


def _found(reader: Reader, later: Moment, hit: Hit | None) -> Found | None:
    if hit is None:
        return None
    event = reader.decrypted(next(reader.events(hit.position - 1, follow=False)))
    if hit.time is None:
        moment = reader.moment(AtPosition(hit.position))
    else:
        moment = reader.moment(AtTime(hit.time, Clock.OCCURRED, later.position))
    return Found(moment, event, int(hit.jobs))
