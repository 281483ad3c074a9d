"""Filters of operations (AIP-160), evaluated on each operation: `done = true AND metadata.genericMetadata.createTime > "…"`."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.filters import (
    All,
    Ever,
    Filter,
    Not,
    Restriction,
    Some,
    parse_filter,
    parts_of,
)
from jobledger.infra.google.wire.masks import camel
from jobledger.infra.google.wire.scalars import Refused, timestamp

ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TIMES: Final = ("metadata.genericMetadata.createTime", "metadata.genericMetadata.updateTime")
TEXTS: Final = ("name", "metadata.@type", "error.message")
FIELDS: Final = ("done", "error.code", *TEXTS, *TIMES)
"""Fields of filters, in camel or snake case; `error` and `response` only with `:*`."""


def parse_operation_filter(text: str) -> Filter:
    """Parses a filter; raises InvalidFieldError if it cannot be parsed, or has unknown fields or values."""
    tree = parse_filter(text)
    for part in parts_of(tree):
        if isinstance(part, Ever):
            raise InvalidFieldError(
                "filter", "ever() is not supported: operations are not kept by time"
            )
        if isinstance(part, Restriction):
            _holds(part, {})
    return tree


def matches(tree: Filter, operation: JsonObject) -> bool:
    """Whether the filter matches the operation."""
    match tree:
        case All(terms=terms):
            return all(matches(term, operation) for term in terms)
        case Some(terms=terms):
            return any(matches(term, operation) for term in terms)
        case Not(term=term):
            return not matches(term, operation)
        case Restriction():
            return _holds(tree, operation)
        case Ever():
            return False


def _holds(restriction: Restriction, operation: JsonObject) -> bool:
    path = ".".join(map(camel, restriction.field))
    value, comparator = restriction.value, restriction.comparator
    if path in {"error", "response"} and (comparator, value) == (":", "*"):
        return path in operation
    if path not in FIELDS:
        known = ", ".join(FIELDS)
        raise InvalidFieldError("filter", f"there is no field {path[:80]!r}; fields: {known}")
    found = _at(operation, path)
    if path in TEXTS:
        return _text_holds(found, comparator, value)
    wanted = _wanted(path, value)
    compare = ORDERS.get("=" if comparator == ":" else comparator)
    if compare is None or (path == "done" and comparator not in {"=", "!=", ":"}):
        raise InvalidFieldError("filter", f"{path} cannot be compared with {comparator}")
    return comparator == "!=" if found is None else compare(found, wanted)


def _text_holds(found: Any, comparator: str, value: str) -> bool:
    if comparator not in {"=", "!=", ":"}:
        raise InvalidFieldError("filter", f"text cannot be compared with {comparator}; use = or !=")
    text, bare = str(found or ""), value.strip("*")
    if value.startswith("*") and value.endswith("*"):
        holds = bare in text and found is not None
    elif value.endswith("*"):
        holds = text.startswith(bare)
    elif value.startswith("*"):
        holds = text.endswith(bare)
    else:
        holds = text == value or (comparator == ":" and value in text)
    return holds is not (comparator == "!=")


def _wanted(path: str, value: str) -> Any:
    """Returns a filter's value in the type of the field."""
    if path == "done":
        if value not in {"true", "false"}:
            raise InvalidFieldError("filter", f"done is true or false, not {value[:40]!r}")
        return value == "true"
    if path == "error.code":
        if not value.isdecimal():
            raise InvalidFieldError("filter", f"error.code is a number, not {value[:40]!r}")
        return int(value)
    return _comparable(value)


def _at(operation: JsonObject, path: str) -> Any:
    """Returns the operation's value of the field; None if it has none."""
    value: Any = operation
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return _comparable(value) if path in TIMES and value is not None else value


def _comparable(time: str) -> str:
    """Returns a time as text that sorts by time: in UTC, with nine decimals."""
    try:
        whole, _, fraction = str(timestamp(time, 0)).removesuffix("Z").partition(".")
    except Refused as refused:
        raise InvalidFieldError("filter", f"{time[:80]!r} {refused.why}") from None
    return f"{whole}.{fraction.ljust(9, '0')}"
