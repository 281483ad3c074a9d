"""Canonical JSON (RFC 8785): one value, one sequence of bytes, so that it can be hashed and proved.

Numbers are IEEE 754 doubles (I-JSON, RFC 7493): an integer beyond 2^53 - 1 is
refused rather than rounded. NUL is refused because PostgreSQL cannot show it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
import rfc8785

from jobledger.domain.errors import InvalidFieldError

JsonObject = dict[str, Any]

_OPTIONS: Final = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
# Where orjson's bytes may not be the canonical ones: a number with a fraction or an
# exponent, or a key beyond ASCII (sorted by UTF-16 there). What only looks like one,
# in a string, costs time and nothing else.
_FRACTION: Final = re.compile(rb"[:\[,]-?[0-9]+[.eE]")
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def encode(value: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a JSON object.

    Raises InvalidFieldError for what JSON, or PostgreSQL's JSON, cannot hold.
    """
    if not value:
        return b"{}"
    try:
        encoded = orjson.dumps(value, option=_OPTIONS)
        if not encoded.isascii() or _FRACTION.search(encoded):
            # Slower by far, and right about every number.
            encoded = rfc8785.dumps(orjson.loads(encoded))
    except (orjson.JSONEncodeError, rfc8785.CanonicalizationError) as error:
        raise InvalidFieldError("data", f"is not JSON: {error}") from error
    if b"\\u0000" in encoded and _NUL.search(encoded):
        raise InvalidFieldError("data", "holds a NUL character")
    return encoded


def decode(data: bytes) -> JsonObject:
    """The JSON object that `data` holds; raises InvalidFieldError where it holds none."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidFieldError("data", f"is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidFieldError("data", "is not a JSON object")
    return value
