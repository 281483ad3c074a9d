"""What differs: between two jobs, one job at two moments, or a whole fleet at two moments."""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

import orjson
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.job import Job
from jobledger.domain.states import TERMINAL
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.filters import parse_filter
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.eventstore.json_view import job_json, moment_json, time_text
from jobledger.infra.history.timeline import Span, attempt_ends, ordered, steps_as_of
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.read.filter_sql import Rendering
from jobledger.infra.read.reader import Reader

CHANGES_BETWEEN: Final = sql.template(__package__, "changes_between")
CHANGES_AS_THEY_HAPPENED: Final = sql.template(__package__, "changes_as_they_happened")
DELETED: Final = "DELETED"
"""What stands for the state of a job that is gone from lists."""
SHOWN: Final = 100
"""Jobs named for each change of state, if nobody says how many."""

_ENDED: Final = frozenset(state.name for state in TERMINAL)
_PLAIN: Final = re.compile(r"[\w*@/+][\w*@/+\-]*")


class Absent(Enum):
    """Told apart from null: there is no such field, label or key."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


class Change(NamedTuple):
    """A field that is not the same; where it was, or is, not there at all it is ABSENT."""

    keys: tuple[str, ...]
    """The way to it through the job's JSON."""
    before: Any
    after: Any

    @property
    def path(self) -> str:
        """As filters name it: `state`, `labels.team`, `spec.x.y`."""
        return path_text(self.keys)

    def json(self) -> JsonObject:
        """`before` and `after`, each only if it is there."""
        said = {"path": self.path, "before": self.before, "after": self.after}
        return {key: value for key, value in said.items() if value is not ABSENT}


def diff_jobs(before: Job, after: Job) -> list[Change]:
    """The fields of the one that differ in the other, as JSON shows them; a job at version 0 has none."""
    return list(_differing((), fields_of(before), fields_of(after)))


def fields_of(job: Job) -> JsonObject:
    """The job as JSON; also when it was deleted, if it was. None of a job that is not there yet."""
    if job.version == 0:
        return {}
    deleted = {} if job.delete_time is None else {"deleteTime": time_text(job.delete_time)}
    return job_json(job) | deleted


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, and not true."""
    if one is other or one is ABSENT or other is ABSENT:
        return one is other
    if one is None or other is None:
        return one is other
    if type(one) is type(other) and isinstance(one, str | int):
        return bool(one == other)
    return canonical.encode({"": one}) == canonical.encode({"": other})


def path_text(parts: Iterable[str]) -> str:
    """A path as filters write it: keys that are no plain words are quoted."""
    return ".".join(p if _PLAIN.fullmatch(p) else orjson.dumps(p).decode() for p in parts)


def diff_attempts(reader: Reader, name: str, attempts: tuple[int, int], as_of: Moment) -> list[Job]:
    """The job at the end of each of the attempts: after the last event before the next one begins.

    Raises JobNotFoundError, and InvalidFieldError for an attempt there was not by then.
    """
    ends = attempt_ends(steps_as_of(reader, name, as_of))
    for attempt in attempts:
        if attempt not in ends:
            why = f"{name} has had {max(ends, default=0)}, and there is no attempt {attempt}"
            raise InvalidFieldError("attempts", why)
    return [ends[attempt].after for attempt in attempts]


class Turn(NamedTuple):
    """How many jobs were in one state at the earlier moment and in another at the later one."""

    before: str | None
    """None: not there yet."""
    after: str
    jobs: int
    names: list[str]
    """The first of them, in order."""


class FleetDiff(NamedTuple):
    """Which jobs are not in the state they were in. A job may count as more than one of these."""

    earlier: Moment
    later: Moment
    turns: list[Turn]
    """The most frequent first."""

    @property
    def appeared(self) -> int:
        """Jobs that were not there, and are."""
        return sum(t.jobs for t in self.turns if t.before is None and t.after != DELETED)

    @property
    def ended(self) -> int:
        """Jobs that had not ended, and have."""
        return sum(t.jobs for t in self.turns if t.after in _ENDED and t.before not in _ENDED)

    @property
    def changed_state(self) -> int:
        """Jobs there at both moments, in different states."""
        return sum(t.jobs for t in self.turns if t.before is not None and t.after != DELETED)

    @property
    def deleted(self) -> int:
        """Jobs that were deleted, also those that were not there before."""
        return sum(turn.jobs for turn in self.turns if turn.after == DELETED)

    def json(self) -> JsonObject:
        """The counts, and each change of state with some of its jobs."""
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


def diff_fleet(
    reader: Reader, earlier: Moment, later: Moment, filter: str = "", limit: int = SHOWN
) -> FleetDiff:
    """Compares the jobs that the filter is true of at either moment; names `limit` of each change.

    Only jobs that entered a state in between are looked at, each twice: 60,000 take 2 s.
    Raises InvalidFieldError for a filter that cannot be read, or moments that cannot be compared.
    """
    ordered(earlier, later)
    if limit < 0:
        raise InvalidFieldError("limit", f"{limit} is negative")
    recorded = later.clock is Clock.RECORDED
    statement = CHANGES_BETWEEN if recorded else CHANGES_AS_THEY_HAPPENED
    tree = parse_filter(filter)
    before, after = Rendering(earlier), Rendering(later)
    was = before.condition(tree)
    # Names of parameters go on where those of the other moment end.
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
