"""Turns any value into JSON that can be stored; each replaced part gets a mark.

A mark is an object in the list `@mended` of the event's data. Its `path` says where, and one of
these what was done:

    replaced    the number of replaced characters (NUL, halves of surrogate pairs)
    asText      the value became its text; this is its former type (`integer`, `bytes`)
    wrapped     the value was not an object, and became the `value` of one
    truncated   the value was shortened: length (or members) and SHA-256 of the whole
    given       the value was not valid there; this is the value
    more        the number of marks that were left out

A short text with `replaced` characters also has `given`: the text as JSON in ASCII.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError, repr_of
from jobledger.domain.values.canonical import MAX_INTEGER, JsonObject

MARKS: Final = "@mended"
PERSONAL: Final = "@personal"
"""The key of personal parts, which are encrypted before they are stored; see infra/privacy."""
MAX_DEPTH: Final = 100
MAX_GIVEN: Final = 200
"""Characters of a text that is repeated in its mark."""
NUL_SYMBOL: Final = "\u2400"
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_PERSONAL_KEY: Final = re.compile(r"""(?<!\\)["']@personal["']\s*:""")
"""The text of a value: as JSON, or as Python represents it."""


class Mender:
    """Makes values storable, and collects the marks of its changes."""

    def __init__(self) -> None:
        self.marks: list[JsonObject] = []
        self._within: set[int] = set()
        self._private = False

    def mark(self, path: str, **done: Any) -> None:
        """Adds a mark; a mark of a personal value does not reveal it."""
        path = _stored(path)
        if self._private:
            done = {key: value for key, value in done.items() if key in {"replaced", "asText"}}
        self.marks.append({"path": path[:MAX_GIVEN], **done})

    def value(self, value: Any, path: str = "") -> Any:
        """Returns the value as JSON.

        Args:
            value: Any value.
            path: Its path in the event's data.

        Returns:
            JSON that can be stored.

        Raises:
            InvalidFieldError: A personal value is where it cannot be encrypted.
        """
        match value:
            case None | bool():
                return value
            case str():
                return self._text(str(value), path)
            case int():
                return self._integer(int(value), path)
            case float():
                return self._float(float(value), path)
            case Mapping() | list() | tuple() | AbstractSet():
                return self._container(value, path)
        return self.as_text(value, path)

    def as_text(self, value: Any, path: str) -> str:
        """Returns the text of a value that is not valid as it is."""
        text = _text_of(value)
        if not isinstance(value, str):
            _check_not_personal(text, path)
        self.mark(path, asText=_kind(value))
        return self._text(text, path)

    def mark_given(self, path: str, given: Any) -> None:
        """Adds a mark with JSON that was not valid there."""
        _check_not_personal(json.dumps(given), path)
        self.mark(path, given=given)

    def _text(self, text: str, path: str) -> str:
        found = len(_UNSTORABLE.findall(text)) if _UNSTORABLE.search(text) else 0
        if not found:
            return text
        given = {"given": json.dumps(text)} if len(text) <= MAX_GIVEN else whole(text)
        self.mark(path, replaced=found, **given)
        return _stored(text)

    def _integer(self, number: int, path: str) -> int | str:
        if abs(number) <= MAX_INTEGER:
            return number
        self.mark(path, asText="integer")
        return _digits(number)

    def _float(self, number: float, path: str) -> float | str:
        if math.isfinite(number):
            return number
        self.mark(path, asText="number")
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"

    def _container(self, value: Any, path: str) -> Any:
        if id(value) in self._within or len(self._within) >= MAX_DEPTH:
            return self.as_text(value, path)
        self._within.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self._object(value, path)
            if isinstance(value, AbstractSet):
                self.mark(path, asText="set")
                value = sorted(value, key=repr)
            return [self.value(item, f"{path}[{n}]") for n, item in enumerate(value)]
        finally:
            self._within.discard(id(value))

    def _object(self, value: Mapping[Any, Any], path: str) -> JsonObject:
        mended: JsonObject = {}
        for key, item in value.items():
            at = f"{path}.{key}" if path else str(key)
            name = self._text(key, at) if isinstance(key, str) else self.as_text(key, at)
            while name in mended:
                name += "_"
            was, self._private = self._private, self._private or name == PERSONAL
            mended[name] = self.value(item, at)
            self._private = was
        return mended


def as_object(value: Any, path: str) -> JsonObject:
    """Returns the value, in an object if it is not one; null becomes an empty object."""
    if isinstance(value, dict):
        return value
    return {} if value is None else {"value": value, MARKS: [{"path": path, "wrapped": True}]}


def _check_not_personal(text: str, path: str) -> None:
    """Checks that text has no personal values, which would be stored unencrypted.

    Args:
        text: The text of a value.
        path: The path of the value in the event's data.

    Raises:
        InvalidFieldError: The text has personal values.
    """
    if _PERSONAL_KEY.search(text):
        raise InvalidFieldError(
            path or "data",
            f"{PERSONAL} is not allowed here, where it would be stored unencrypted; make it the value of a field of the data",
        )


def whole(text: str) -> JsonObject:
    """Describes a shortened text: its length in characters, and the SHA-256 of its UTF-8."""
    return {"length": len(text), "sha256": sha256(text)}


def sha256(text: str) -> str:
    """Returns the SHA-256, in hex, of the text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _stored(text: str) -> str:
    """Returns the text with replacements for the characters that cannot be stored."""
    if not _UNSTORABLE.search(text):
        return text
    # Two adjacent surrogates make one character.
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined.replace("\0", NUL_SYMBOL)


def _kind(value: Any) -> str:
    match value:
        case bytes() | bytearray():
            return "bytes"
        case Mapping():
            return "object"
        case Sequence():
            return "list"
    return type(value).__name__


def _text_of(value: Any) -> str:
    """Returns JSON, or Python's text of a value that is not JSON; never raises."""
    try:
        match value:
            case bytes() | bytearray():
                return bytes(value).decode("utf-8", "backslashreplace")
            case date():
                return value.isoformat()
            case Mapping() | list() | tuple() | bool() | int() | float() | None:
                return json.dumps(value, ensure_ascii=False, default=str)
        return str(value)
    except Exception:
        return repr_of(value)


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # Python writes no more than some thousand digits.
        return hex(number)
