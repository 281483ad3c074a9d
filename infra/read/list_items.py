"""Fields of a filter that are lists in a job's JSON: `parent`, `inputs` and `outputs`.

`inputs : "orders"` is true of a job that has an input dataset of that name; `parent = "night"` of a
job whose `spec.parents` name the job `night`.
"""

from collections.abc import Callable
from typing import Any, Final, LiteralString, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.filters import Restriction
from jobledger.infra.postgres import sql
from psycopg.sql import SQL, Composable, Literal

HAS_ITEM: Final = sql.template(__package__, "list_items")


class ListField(NamedTuple):
    """A list in a row: a column, and a key in it."""

    column: LiteralString
    key: LiteralString


LISTS: Final[dict[str, ListField]] = {
    "parent": ListField("spec", "parents"),
    "inputs": ListField("output", "inputs"),
    "outputs": ListField("output", "outputs"),
}
"""By the name that a filter has for it."""


def has_item(
    found: ListField, tree: Restriction, pattern: str, parameter: Callable[[Any], Composable]
) -> Composable:
    """Whether the list has an item like `pattern` (of LIKE); raises InvalidFieldError for `<` and its like."""
    if tree.comparator not in ("=", ":", "!="):
        field = ".".join(tree.field)
        raise InvalidFieldError(
            "filter", f"{field} is a list and has no order: ask {field} = NAME, or {field} : NAME"
        )
    parts = {"column": SQL(found.column), "key": Literal(found.key), "pattern": parameter(pattern)}
    condition = HAS_ITEM.format(**parts)
    return SQL("(NOT {})").format(condition) if tree.comparator == "!=" else condition
