"""Differences between two jobs, one job at two moments, or all jobs at two moments."""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

import orjson
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.job import Job
from jobledger.domain.states import TERMINAL
from jobledger.domain.values import canonical
from jobledger.domain.values.arguments import parse_count
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.filters import parse_filter
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.eventstore.json_view import job_json, moment_json, time_text
from jobledger.infra.history.timeline import Span, attempt_ends, ordered, steps_as_of
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import reading_again, translated
from jobledger.infra.read.lists.filter_sql import Rendering
from jobledger.infra.read.reader import Reader

CHANGES_BETWEEN: Final = sql.template(__package__, "changes_between")
CHANGES_VALID_TIME: Final = sql.template(__package__, "changes_valid_time")
DELETED: Final = "DELETED"
"""Stands for the state of a deleted job."""
MAX_NAMED_JOBS: Final = 100
"""Jobs named for each change of state by default."""

_ENDED: Final = frozenset(state.name for state in TERMINAL)
_PLAIN: Final = re.compile(r"[\w*@/+][\w*@/+\-]*")


class Absent(Enum):
    """The value of a field, label or key that does not exist; null is another value."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


class Change(NamedTuple):
    """A field that differs.

    Attributes:
        keys: The path of the field in the job's JSON.
        before: The earlier value; ABSENT if the field did not exist.
        after: The later value; ABSENT if the field does not exist.
    """

    keys: tuple[str, ...]
    before: Any
    after: Any

    @property
    def path(self) -> str:
        """The path as filters write it: `state`, `labels.team`, `spec.x.y`."""
        return path_text(self.keys)

    def json(self) -> JsonObject:
        """Returns the path with `before` and `after`, each only if it exists."""
        fields = {"path": self.path, "before": self.before, "after": self.after}
        return {key: value for key, value in fields.items() if value is not ABSENT}


def diff_jobs(before: Job, after: Job) -> list[Change]:
    """Returns the fields that differ in the JSON of two jobs; a job at version 0 has no fields."""
    return list(_differing((), fields_of(before), fields_of(after)))


def fields_of(job: Job) -> JsonObject:
    """Returns the job as JSON, with `deleteTime` if it was deleted; empty before the job was created."""
    if job.version == 0:
        return {}
    deleted = {} if job.delete_time is None else {"deleteTime": time_text(job.delete_time)}
    return job_json(job) | deleted


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON: 1 equals 1.0, and not true."""
    if one is other or one is ABSENT or other is ABSENT:
        return one is other
    if one is None or other is None:
        return one is other
    if type(one) is type(other) and isinstance(one, str | int):
        return bool(one == other)
    return canonical.encode({"": one}) == canonical.encode({"": other})


def path_text(parts: Iterable[str]) -> str:
    """Returns a path as filters write it: keys that are not plain words are quoted."""
    return ".".join(p if _PLAIN.fullmatch(p) else orjson.dumps(p).decode() for p in parts)


def diff_attempts(reader: Reader, name: str, attempts: tuple[int, int], as_of: Moment) -> list[Job]:
    """Returns the job at the end of each attempt: after the last event before the next attempt.

    Args:
        reader: The ledger.
        name: The job's resource name.
        attempts: The numbers of the attempts, from 1.
        as_of: The moment.

    Returns:
        The job, for each of the attempts.

    Raises:
        JobNotFoundError: There was no such job at the moment.
        InvalidFieldError: An attempt had not begun at the moment.
    """
    ends = attempt_ends(steps_as_of(reader, name, as_of))
    for attempt in attempts:
        if attempt not in ends:
            why = f"{name} has had {max(ends, default=0)}, so there is no attempt {attempt}"
            raise InvalidFieldError("attempts", why)
    return [ends[attempt].after for attempt in attempts]


class Turn(NamedTuple):
    """The jobs that were in one state at the earlier moment and in another at the later one."""

    before: str | None
    """The earlier state; None if the job did not exist yet."""
    after: str
    jobs: int
    names: list[str]
    """The first of them, in order."""


class FleetDiff(NamedTuple):
    """The jobs that changed state between two moments; a job may count in several numbers.

    Attributes:
        earlier: The earlier moment.
        later: The later moment.
        turns: The changes of state, the most frequent first.
    """

    earlier: Moment
    later: Moment
    turns: list[Turn]

    @property
    def appeared(self) -> int:
        """The number of jobs that were created."""
        return sum(t.jobs for t in self.turns if t.before is None and t.after != DELETED)

    @property
    def ended(self) -> int:
        """The number of jobs that entered a terminal state."""
        return sum(t.jobs for t in self.turns if t.after in _ENDED and t.before not in _ENDED)

    @property
    def changed_state(self) -> int:
        """The number of jobs that existed at both moments, in different states."""
        return sum(t.jobs for t in self.turns if t.before is not None and t.after != DELETED)

    @property
    def deleted(self) -> int:
        """The number of jobs that were deleted, also of those created in between."""
        return sum(turn.jobs for turn in self.turns if turn.after == DELETED)

    def json(self) -> JsonObject:
        """Returns the numbers, and each change of state with some of its jobs, as JSON."""
        return {
            "from": moment_json(self.earlier),
            "to": moment_json(self.later),
            "appeared": self.appeared,
            "ended": self.ended,
            "changedState": self.changed_state,
            "deleted": self.deleted,
            "total": sum(turn.jobs for turn in self.turns),
            "changes": [
                {"from": t.before, "to": t.after, "count": t.jobs, "jobs": t.names}
                for t in self.turns
            ],
        }


@reading_again
def diff_fleet(
    reader: Reader, earlier: Moment, later: Moment, filter: str = "", limit: int = MAX_NAMED_JOBS
) -> FleetDiff:
    """Compares the jobs that a filter matches at either of two moments.

    Only jobs that entered a state in between are read, each twice: 60,000 take 2 s.

    Args:
        reader: The ledger.
        earlier: The first moment.
        later: The last moment, of the same clock.
        filter: An AIP-160 filter; "" for all jobs.
        limit: How many jobs are named for each change.

    Returns:
        What changed.

    Raises:
        InvalidFieldError: The filter cannot be parsed, the moments cannot be compared, or the limit
            is negative.
    """
    ordered(earlier, later)
    parse_count("limit", limit)
    recorded = later.clock is Clock.RECORDED
    statement = CHANGES_BETWEEN if recorded else CHANGES_VALID_TIME
    tree = parse_filter(filter)
    before, after = Rendering(earlier), Rendering(later)
    was = before.condition(tree)
    # Numbering of parameters continues after those of the other moment.
    after.parameters.update(before.parameters)
    text = statement.format(was=was, now=after.condition(tree))
    parameters = after.parameters | Span(earlier, later).parameters | {"limit": limit}
    with translated(), reader.connection() as connection:
        return FleetDiff(
            earlier, later, [Turn(*row) for row in connection.execute(text, parameters)]
        )


def _differing(
    path: tuple[str, ...], before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[Change]:
    for key in [*before, *(key for key in after if key not in before)]:
        was, now = before.get(key, ABSENT), after.get(key, ABSENT)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            yield from _differing((*path, key), was, now)
        elif not same(was, now):
            yield Change((*path, key), was, now)
