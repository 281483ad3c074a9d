"""Fields of a filter that are lists: `parent`, `inputs` and `outputs`.

`inputs : "orders"` is true of a job that has an input dataset of that name; `parent = "night"` of a
job whose parents include the job `night`: those that were reported, or else those that its
spec names. A parent's whole name is found through an index.
"""

from collections.abc import Callable
from typing import Any, Final, LiteralString, NamedTuple

import orjson
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.filters import Restriction
from jobledger.infra.postgres import sql
from psycopg.sql import SQL, Composable, Literal

_WHOLE: Final = "projects/"
"""The beginning of a job's full name."""
HAS_ITEM: Final = sql.template(__package__, "list_items")


class ListField(NamedTuple):
    """A list in a row of jobs."""

    items: LiteralString
    """A JSON array in SQL; other JSON values count as no list."""
    indexed: LiteralString | None = None
    """The same expression as in the index."""


_PARENTS: Final = "coalesce(lineage -> 'parents', (spec -> 'parents')::jsonb)"
LISTS: Final[dict[str, ListField]] = {
    "parent": ListField(f"({_PARENTS})::json", _PARENTS),
    "inputs": ListField("output -> 'inputs'"),
    "outputs": ListField("output -> 'outputs'"),
}
"""The lists by their names in filters."""


def has_item(
    found: ListField, tree: Restriction, pattern: str, parameter: Callable[[Any], Composable]
) -> Composable:
    """Returns the test for an item that matches `pattern` (of LIKE); raises InvalidFieldError for operators such as `<`."""
    if tree.comparator not in ("=", ":", "!="):
        field = ".".join(tree.field)
        raise InvalidFieldError(
            "filter", f"{field} is a list and has no order: ask {field} = NAME, or {field} : NAME"
        )
    if found.indexed is not None and tree.value.startswith(_WHOLE) and not any(tree.wildcards):
        # A percent sign would begin a parameter, so it is doubled.
        name = Literal(orjson.dumps([tree.value]).decode().replace("%", "\\u0025"))
        condition: Composable = SQL("({} @> {}::jsonb)").format(SQL(found.indexed), name)
    else:
        condition = HAS_ITEM.format(items=SQL(found.items), pattern=parameter(pattern))
    return SQL("({} IS NOT TRUE)").format(condition) if tree.comparator == "!=" else condition
