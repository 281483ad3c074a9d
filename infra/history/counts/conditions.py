"""Conditions on the number of jobs: `running > 4000`, `jobs >= 10`, `count(FILTER) = 3`."""

import operator
import re
from collections.abc import Callable
from typing import Final, LiteralString, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import JobState
from jobledger.domain.values.arguments import text_of
from jobledger.domain.values.filters import Filter, Restriction, parse_filter
from psycopg.sql import SQL

ALL_JOBS: Final = 0
"""Stands for the number of a state where all jobs are counted."""

COMPARATORS: Final[dict[str, tuple[LiteralString, Callable[[int, int], bool]]]] = {
    "<": ("<", operator.lt),
    "<=": ("<=", operator.le),
    "=": ("=", operator.eq),
    "!=": ("<>", operator.ne),
    ">=": (">=", operator.ge),
    ">": (">", operator.gt),
}
_CONDITION: Final = re.compile(
    r"\s*(?:count\((?P<filter>.*)\)|(?P<word>[A-Za-z_]+))\s*"
    r"(?P<comparator><=|>=|!=|<|>|=)\s*(?P<number>\d{1,15})\s*",
    re.DOTALL,
)


class Condition(NamedTuple):
    """The number of jobs that a filter matches, compared with a number."""

    text: str
    """The filter as it was written."""
    filter: Filter
    comparator: str
    number: int
    state: int | None = None
    """The state's number, or ALL_JOBS, if that is all the filter asks for."""

    @property
    def comparison(self) -> SQL:
        """The comparison operator in SQL."""
        return SQL(COMPARATORS[self.comparator][0])

    def holds(self, jobs: int) -> bool:
        """Whether the condition is true of that number of jobs."""
        return COMPARATORS[self.comparator][1](jobs, self.number)


def parse_condition(text: str) -> Condition:
    """Parses `running > 4000`, `jobs >= 10` or `count(FILTER) > 3`; raises InvalidFieldError."""
    match = _CONDITION.fullmatch(text_of("condition", text))
    if match is None:
        why = f"{text!r} is not like 'running > 4000', 'jobs > 10' or 'count(FILTER) > 10'"
        raise InvalidFieldError("count", why)
    comparator, number = match["comparator"], int(match["number"])
    word = (match["word"] or "").upper()
    if not word:
        return Condition(match["filter"], parse_filter(match["filter"]), comparator, number)
    if word == "JOBS":
        in_any = Restriction(("state",), "=", "*")
        return Condition("state = *", in_any, comparator, number, ALL_JOBS)
    if word not in JobState.__members__:
        raise InvalidFieldError(
            "count", f"unknown state {match['word']!r}; states: {', '.join(JobState.__members__)}"
        )
    of_state = Restriction(("state",), "=", word)
    return Condition(f"state = {word}", of_state, comparator, number, JobState[word].value)
