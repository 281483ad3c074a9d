"""Checks of lists, maps and free JSON, and of how deeply they are nested.

A check gets `depth_left`: how many messages may be nested, including the one that it
checks. Free JSON counts as messages too: a list as two, an object with its entry as three.
"""

import re
from typing import Any, Final

from jobledger.domain.values.canonical import MAX_INTEGER, json_type
from jobledger.infra.google.wire.scalars import SCALARS, Check, Refused, double, string

MAX_DEPTH: Final = 96
"""The most nested messages. Google's parsers stop at 100, and a response that contains a job in
a list or in an operation nests it a few levels deeper."""


def check_depth(depth_left: int) -> None:
    """Raises Refused if messages are nested too deeply; `depth_left` is how many more may be nested."""
    if depth_left < 1:
        raise Refused(
            f"is nested more than {MAX_DEPTH} messages deep, and Google's clients read 100"
        )


def repeated(check: Check) -> Check:
    """Returns a check of lists whose items pass another check."""

    def check_all(value: Any, depth_left: int) -> list[Any]:
        if not isinstance(value, list):
            raise Refused(f"must be a list, not {json_type(value)}")
        check_depth(depth_left)
        accepted: list[Any] = []
        try:
            for item in value:
                accepted.append(check(item, depth_left))  # noqa: PERF401  its length says where it ended
        except Refused as refused:
            raise refused.under(len(accepted)) from None
        return accepted

    return check_all


def mapping(check: Check) -> Check:
    """Returns a check of maps whose values pass another check; an entry counts as a nested message."""

    def check_all(value: Any, depth_left: int) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Refused(f"must be an object, not {json_type(value)}")
        check_depth(depth_left)
        key, accepted = "", {}
        try:
            for key, item in value.items():
                accepted[string(key, 0)] = check(item, depth_left - 1)
        except Refused as refused:
            raise refused.under(key) from None
        return accepted

    return check_all


def anything(value: Any, depth_left: int) -> Any:
    """Checks free JSON; a list counts as two nested messages, an object with its entry as three."""
    check_depth(depth_left)
    match value:
        case None | bool():
            return value
        case str():
            return string(value, depth_left)
        case int():
            return _exact(value)
        case float():
            return SCALARS["double"](value, depth_left)
        case list():
            return _list(value, depth_left - 2)
        case _:
            return _object(value, depth_left - 2)


def _exact(value: int) -> int | float:
    """Checks a number of free JSON, which is a double; a number that a double cannot represent is refused, not rounded."""
    if abs(value) <= MAX_INTEGER:
        return value
    as_double = double(value)
    if as_double != value:
        raise Refused(f"is an integer beyond {MAX_INTEGER} (2^53 - 1): write it as a string")
    return as_double


def typed(value: Any, depth_left: int) -> dict[str, Any]:
    """Checks an Any: a message, and the URL of its type."""
    accepted: dict[str, Any] = _object(value, depth_left)
    url = accepted.get("@type")
    if not isinstance(url, str) or not re.fullmatch(r".*/[^/]+", url):
        raise Refused('must say what it is as "@type": "type.googleapis.com/…"')
    return accepted


_list: Final = repeated(anything)
_object: Final = mapping(anything)
