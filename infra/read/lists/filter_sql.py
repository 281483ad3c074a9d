"""Renders filters as SQL: columns and operators from closed tables, values as parameters."""

from typing import Any, Final, LiteralString, assert_never

import orjson
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.filters import (
    All,
    Ever,
    Filter,
    Not,
    Restriction,
    Some,
    parse_field,
    part_about,
    parts_of,
)
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.postgres import sql
from jobledger.infra.read.lists.filter_fields import GOOGLE_LABELS, KEYED, LABEL, Column, column_of
from jobledger.infra.read.lists.json_values import JsonField, compared, compares_otherwise, ordered
from jobledger.infra.read.lists.list_items import LISTS, has_item
from psycopg.sql import SQL, Composable, Composed, Literal, Placeholder

GOOGLE_LABEL: Final = sql.template(__package__, "google_label")
WITHIN: Final = sql.template(__package__, "within_json")
MAY_MATCH: Final = sql.template(__package__, "may_match")
RECORDED_BY: Final = sql.template(__package__, "recorded_by")
"""When the last event up to a position was recorded, which is when no event up to it took effect later."""

OPERATORS: Final[dict[str, LiteralString]] = {
    "=": "=",
    ":": "=",
    "!=": "<>",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}


class Rendering:
    """Renders the filters of one statement, and collects its parameters.

    Conditions name the columns of `jobs`, as of `moment` (None: now).
    """

    def __init__(self, moment: Moment | None = None) -> None:
        self.parameters: dict[str, Any] = {}
        self._moment = moment

    def parameter(self, value: Any) -> Placeholder:
        """Returns the placeholder of a value."""
        name = f"f{len(self.parameters)}"
        self.parameters[name] = value
        return Placeholder(name)

    def condition(self, tree: Filter) -> Composable:
        """Returns a filter's condition; raises InvalidFieldError for an unknown field or value."""
        match tree:
            case All(terms=()):
                return SQL("true")
            case All(terms=terms):
                return _joined(" AND ", [self.condition(term) for term in terms])
            case Some(terms=terms):
                return _joined(" OR ", [self.condition(term) for term in terms])
            case Not(term=term):
                return SQL("NOT {}").format(self.condition(term))
            case Ever(term=term):
                return self._ever(term)
            case Restriction():
                return self._restriction(tree)
            case _:
                assert_never(tree)

    def field(self, field: tuple[str, ...], asked_by: str = "filter") -> tuple[Composable, Column]:
        """Returns a field in SQL; raises InvalidFieldError."""
        found = self.json_field(field)
        if found is not None:
            return found.text, LABEL
        column = column_of(field, asked_by)
        return SQL("({})").format(SQL(column.expression)), column

    def json_field(self, field: tuple[str, ...]) -> JsonField | None:
        """Returns a value in a job's labels, spec or output; None for another field."""
        match field:
            case ("labels" | "label", *key) if key:
                # Kubernetes' keys have dots, and labels are not nested.
                text = SQL("(labels ->> {}::text)").format(self.parameter(".".join(key)))
                return JsonField(None, text)
            case (name, *key) if name == GOOGLE_LABELS and key:
                return JsonField(None, GOOGLE_LABEL.format(key=self.parameter(".".join(key))))
            case ("spec" | "output" as column, *path) if path:
                at = self.parameter(path)
                parts = {"column": SQL(column), "path": at}
                return JsonField(
                    SQL("({column} #> {path}::text[])").format(**parts),
                    SQL("({column} #>> {path}::text[])").format(**parts),
                )
        return None

    def order(self, text: str, asked_by: str) -> list[Composable]:
        """Returns the sort expression of a field; raises InvalidFieldError."""
        field = parse_field(text)
        found = self.json_field(field)
        return [self.field(field, asked_by)[0]] if found is None else ordered(found)

    def _presence(self, tree: Restriction) -> Composable | None:
        """Returns the test for a key (`labels:env`), or for any (`labels:*`); None for another restriction."""
        name = {"label": "labels"}.get(tree.field[0], tree.field[0])
        if len(tree.field) != 1 or name not in KEYED:
            return None
        if tree.is_presence:
            return SQL("({}::text <> '{{}}' IS TRUE)").format(SQL(KEYED[name]))
        if tree.comparator != ":" or any(tree.wildcards):
            return None
        return self._restriction(Restriction((name, tree.value), ":", "*"))

    def _restriction(self, tree: Restriction) -> Composable:
        """Returns one comparison; a missing value matches none."""
        if (presence := self._presence(tree)) is not None:
            return presence
        if len(tree.field) == 1 and (found_list := LISTS.get(tree.field[0])) is not None:
            return has_item(found_list, tree, _like(tree), self.parameter)
        if (pair := _label_pair(tree)) is not None:
            return pair
        expression, column = self.field(tree.field)
        if tree.is_presence:
            return SQL("({} IS NOT NULL)").format(expression)
        if (within := self._within(tree)) is not None:
            return within
        if _is_pattern(tree, column):
            pattern = self.parameter(_like(tree))
            negated = SQL("NOT ") if tree.comparator == "!=" else SQL("")
            return SQL("({} {}LIKE {} IS TRUE)").format(expression, negated, pattern)
        found = self.json_field(tree.field)
        if found is not None:
            related = compared(found, OPERATORS[tree.comparator], tree.value, self.parameter)
            return SQL("({} IS TRUE)").format(related)
        value = self.parameter(column.read(".".join(tree.field), tree.value))
        operator = SQL(OPERATORS[tree.comparator])
        if tree.field == ("state",) and operator == SQL("="):
            # A plain comparison, for the planner; the column is never null here.
            return SQL("({} = {})").format(expression, value)
        return SQL("(({} {} {}) IS TRUE)").format(expression, operator, value)

    def _within(self, tree: Restriction) -> Composable | None:
        """Returns the test of `spec.PATH : VALUE` for a value, an item of a list, or a key; None for another restriction."""
        found = self.json_field(tree.field) if tree.comparator == ":" else None
        if found is None or found.value is None:
            return None
        whole = self._restriction(tree._replace(comparator="="))
        parts = {"pattern": self.parameter(_like(tree)), "key": self.parameter(tree.value)}
        return SQL("({} OR {})").format(whole, WITHIN.format(value=found.value, **parts))

    def _ever(self, term: Filter) -> Composable:
        """Returns whether the term matched after one of the job's events, up to the moment."""
        if any(isinstance(part, Ever) for part in parts_of(term)):
            raise InvalidFieldError("filter", "ever() cannot contain ever()")
        told_by_events = {part.field for part in parts_of(term) if isinstance(part, Restriction)}
        of_clock = "AT" if self._on_recorded else "VALID_TIME"
        steps = STEPS["ENTERED" if told_by_events <= OF_AN_EVENT else of_clock]
        upto: Composable = SQL("true")
        position: Composable = SQL("NULL")
        if self._moment is not None:
            position = self.parameter(self._moment.position)
            upto = self._upto(self._moment, position)
        parts = {"position": position, "upto": upto, "condition": self.condition(term)}
        return steps.format(**parts, entered=self._entered)

    def may_match(self, tree: Filter) -> Composable:
        """Returns the condition's part on the state, of a job `j` whose row is not folded yet; true without a moment."""
        of_state = part_about(tree, ("state",))
        if self._moment is None or of_state == All(()):
            return SQL("true")
        position = self.parameter(self._moment.position)
        by = RECORDED_BY.format(position=position)
        return MAY_MATCH.format(
            entered=self._entered,
            upto=self._upto(self._moment, position),
            by=by if self._on_recorded else self.parameter(self._moment.time),
            condition=self.condition(of_state),
        )

    def _upto(self, moment: Moment, position: Composable) -> Composable:
        """Returns the condition that one of the `past` events counts as of the moment."""
        upto = SQL("past.position + 0 <= {}").format(position)
        if self._on_recorded:
            return upto
        time = self.parameter(moment.time)
        return SQL("({} AND past.occurred_time <= {})").format(upto, time)

    @property
    def _entered(self) -> SQL:
        """Returns the state that one of the `past` events led to, on this clock."""
        return SQL(
            "known_state(past.type, past.schema, past.data)"
            if self._on_recorded
            else "state_after(past.type)"
        )

    @property
    def _on_recorded(self) -> bool:
        return self._moment is None or self._moment.clock is Clock.RECORDED


def render(tree: Filter) -> tuple[Composable, dict[str, Any]]:
    """Returns the condition and its parameters; raises InvalidFieldError."""
    rendering = Rendering()
    return rendering.condition(tree), rendering.parameters


STEPS: Final = {
    "ENTERED": sql.template(__package__, "ever_entered"),
    "AT": sql.template(__package__, "ever_at"),
    "VALID_TIME": sql.template(__package__, "ever_valid_time"),
}
"""How to find out whether a condition was ever true of a job."""
OF_AN_EVENT: Final = frozenset({("state",), ("error", "code")})
"""Fields whose values are in the event that enters a state."""


def asks_for_label(tree: Filter) -> bool:
    """Whether all jobs that the filter matches have a certain label, which an index finds."""
    if isinstance(tree, All):
        return any(map(asks_for_label, tree.terms))
    return isinstance(tree, Restriction) and _label_pair(tree) is not None


def _label_pair(tree: Restriction) -> Composable | None:
    """Returns the test for a label's exact value, which an index finds; None for another restriction.

    The value is no parameter, so that the planner knows how frequent it is: a rare one is looked up,
    and a frequent one is met soon enough in the order of the list.
    """
    match tree.field:
        case ("labels" | "label", *key) if key and tree.comparator in {"=", ":"}:
            if tree.is_presence or any(tree.wildcards) or compares_otherwise(tree.value):
                return None
            # A percent sign would begin a parameter, so it is doubled.
            pair = orjson.dumps({".".join(key): tree.value}).decode().replace("%", "\\u0025")
            return SQL("(labels @> {}::jsonb)").format(Literal(pair))
    return None


def _is_pattern(tree: Restriction, column: Column) -> bool:
    return any(tree.wildcards) and column.is_text and tree.comparator in ("=", "!=", ":")


def _like(tree: Restriction) -> str:
    """Returns a LIKE pattern: a wildcard matches any text, and other characters match themselves."""
    start, end = tree.wildcards
    inner = tree.value[start : len(tree.value) - end]
    escaped = inner.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return "%" * start + escaped + "%" * end


def _joined(connective: LiteralString, parts: list[Composable]) -> Composed:
    return SQL("({})").format(SQL(connective).join(parts))
