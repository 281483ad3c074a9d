"""Canonical JSON (RFC 8785): one value, one sequence of bytes, so that it can be hashed and proved.

Numbers are IEEE 754 doubles (I-JSON, RFC 7493): an integer beyond 2^53 - 1 is
refused rather than rounded. NUL is refused because PostgreSQL cannot show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
import rfc8785

from jobledger.domain.errors import InvalidFieldError

JsonObject = dict[str, Any]

MAX_INTEGER: Final = 2**53 - 1
MAX_DEPTH: Final = 64


def encode(value: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a JSON object.

    Raises InvalidFieldError for what JSON, or PostgreSQL's JSON, cannot hold.
    """
    if not value:
        return b"{}"
    try:
        # orjson writes the same bytes, much faster, where no number needs
        # ECMAScript's format and no key sorts differently in UTF-16.
        if _is_plain(value, MAX_DEPTH):
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        return rfc8785.dumps(dict(value))
    except (orjson.JSONEncodeError, rfc8785.CanonicalizationError) as error:
        raise InvalidFieldError("data", f"is not JSON: {error}") from error


def decode(data: bytes) -> JsonObject:
    """The JSON object that `data` holds; raises InvalidFieldError where it holds none."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidFieldError("data", f"is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidFieldError("data", "is not a JSON object")
    return value


def _is_plain(value: Any, depth: int) -> bool:
    """Whether orjson's bytes for it are canonical; raises for what nobody may write."""
    match value:
        case str():
            if "\0" in value:
                raise InvalidFieldError("data", "holds a NUL character")
            return True
        case bool() | None:
            return True
        case int():
            if abs(value) > MAX_INTEGER:
                raise InvalidFieldError("data", f"holds {value}, and JSON's integers end at 2^53")
            return True
        case float():
            return False
        case dict():
            return _is_plain_object(value, depth)
        case list():
            _check_depth(depth)
            return all([_is_plain(item, depth - 1) for item in value])
    raise InvalidFieldError("data", f"holds a {type(value).__name__}, which is not JSON")


def _is_plain_object(value: dict[Any, Any], depth: int) -> bool:
    _check_depth(depth)
    plain = True
    for key, item in value.items():
        if not isinstance(key, str) or "\0" in key:
            raise InvalidFieldError("data", f"has a key that is not text without NUL: {key!r}")
        plain &= key.isascii()
        plain &= _is_plain(item, depth - 1)
    return plain


def _check_depth(depth: int) -> None:
    if depth == 0:
        raise InvalidFieldError("data", f"is nested more than {MAX_DEPTH} deep")
