"""Statements that read a list of jobs as of a moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.arguments import text_of
from jobledger.domain.values.filters import Filter, parse_filter
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.postgres import sql
from jobledger.infra.read.lists.filter_sql import Rendering
from jobledger.infra.read.lists.part_of_list import PartOfList
from jobledger.projections.jobs import COLUMNS
from psycopg.sql import SQL, Composable, Composed, Literal, Placeholder

JOBS_NOW: Final = sql.template(__package__, "jobs_now")
JOBS_AT: Final = sql.template(__package__, "jobs_at")
VALID_TIME: Final = sql.template(__package__, "jobs_valid_time")
LATE_JOBS: Final = sql.template(__package__, "late_jobs_valid_time")
JOBS_AT_RECENT: Final = sql.template(__package__, "jobs_at_recent")
IN_ORDER: Final = SQL("NOT EXISTS (SELECT FROM late_jobs AS late WHERE late.name = j.name)")
LATE_ROW: Final = sql.template(__package__, "late_row").format(in_order=IN_ORDER)
NOTHING: Final = SQL("")
JOB_COLUMNS: Final = ", ".join(COLUMNS)
AMONG: Final = sql.template(__package__, "among").format(names=Placeholder("among"))


class Query(NamedTuple):
    """A query for jobs, as of a moment (None: now)."""

    filter: Filter
    moment: Moment | None
    order_by: str = ""
    """The order (AIP-132): fields, each with or without `desc`; "" is newest first."""
    late: bool = False
    """Whether there are jobs with late reports."""
    recent: bool = False
    """Whether an index finds the jobs, and only few events followed the moment."""
    among: tuple[str, ...] | None = None
    """The names of all jobs that can match; None if any job can."""
    part: PartOfList | None = None
    """The part of the list that is looked at; None for all of it."""
    most: int | None = None
    """The most jobs that can match, if that is known."""

    @classmethod
    def parse(cls, filter: str | Filter, moment: Moment | None, order_by: str = "") -> Query:
        """Parses a filter; raises InvalidFieldError."""
        tree = filter if isinstance(filter, Filter) else parse_filter(filter)
        return cls(tree, moment, text_of("order_by", order_by))


def list_sql(
    query: Query, limit: int | None, offset: int = 0, after: tuple[str, str] | None = None
) -> tuple[Composed, dict[str, Any]]:
    """Returns the statement that reads a page of jobs in order, and its parameters.

    Args:
        query: Which jobs, as of which moment.
        limit: The most jobs; None for all.
        offset: How many jobs before the page are left out.
        after: The create time and name of the last job of the page before, in place of an offset.
    """
    rendering = Rendering(query.moment)
    condition = rendering.condition(query.filter)
    if after is not None:
        created, name = (rendering.parameter(value) for value in after)
        beyond = "({} AND created <= {c} AND (created < {c} OR name > {n}))"
        condition = SQL(beyond).format(condition, c=created, n=name)
    keys = _order(query.order_by, rendering)
    sorted_by = [SQL("{} AS o{}").format(key, SQL(str(n))) for n, (key, _) in enumerate(keys)]
    columns = SQL(", ").join([SQL(JOB_COLUMNS).format(), *sorted_by])
    inner = _by(keys)
    outer = _by([(SQL(f"o{n}").format(), down) for n, (_, down) in enumerate(keys)])
    skipped = 0 if after else offset
    needed = None if limit is None else limit + skipped
    if needed is not None and query.most is not None:
        # Once all that can match are found, no further jobs are looked at.
        needed = min(needed, max(0, query.most - (offset - skipped)))
    tail = SQL("{} LIMIT {}").format(inner, Literal(needed))
    jobs = jobs_sql(query, rendering, columns, condition, tail)
    whole = SQL("SELECT {} FROM ({}) AS jobs {} LIMIT {} OFFSET {}").format(
        SQL(JOB_COLUMNS), jobs, outer, Literal(limit), Literal(skipped)
    )
    return whole, parameters_of(query, rendering)


def jobs_sql(
    query: Query,
    rendering: Rendering,
    columns: Composable,
    condition: Composable,
    tail: Composable = NOTHING,
) -> Composed:
    """Returns the statement that reads jobs as of the query's moment."""
    statement = JOBS_NOW
    if query.moment is not None:
        at = JOBS_AT_RECENT if query.recent else JOBS_AT
        statement = at if query.moment.clock is Clock.RECORDED else VALID_TIME
    rows = SQL("jobs") if query.part is None else query.part.rows()
    parts = {
        "columns": columns,
        "condition": condition,
        "may_match": rendering.may_match(query.filter),
        "tail": tail,
        "in_order": IN_ORDER if query.late else SQL("true"),
        "late_row": LATE_ROW if query.late else NOTHING,
        "jobs": rows if query.among is None else AMONG,
    }
    if statement is JOBS_AT_RECENT and query.moment is not None:
        parts["position"] = Literal(query.moment.position)
    jobs = statement.format(**parts)
    if statement is VALID_TIME and query.late:
        return SQL("({}) UNION ALL ({})").format(jobs, LATE_JOBS.format(**parts))
    return jobs


def parameters_of(query: Query, rendering: Rendering) -> dict[str, Any]:
    """Returns the parameters of the statement of `jobs_sql`."""
    moment = query.moment
    at = {} if moment is None else {"position": moment.position, "time": moment.time}
    among = {} if query.among is None else {"among": [*query.among]}
    return rendering.parameters | at | among


def _order(order_by: str, rendering: Rendering) -> list[tuple[Composable, bool]]:
    """Returns the sort expressions and directions, the name last; raises InvalidFieldError."""
    if not order_by.strip():
        return [(SQL("created"), True), (SQL("name"), False)]
    keys: list[tuple[Composable, bool]] = []
    for part in order_by.split(","):
        match part.split():
            case [field] | [field, "asc"]:
                down = False
            case [field, "desc"]:
                down = True
            case _:
                raise InvalidFieldError(
                    "order_by", f"{part.strip()!r} is not a field, or a field and desc (AIP-132)"
                )
        keys += [(key, down) for key in rendering.order(field, "order_by")]
    return [*keys, (SQL("name"), False)]


def _by(keys: Sequence[tuple[Composable, bool]]) -> Composed:
    parts = [SQL("{} DESC" if down else "{}").format(key) for key, down in keys]
    return SQL("ORDER BY {}").format(SQL(", ").join(parts))
