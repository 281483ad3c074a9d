"""Canonical JSON (RFC 8785): one value, one sequence of bytes, so that it can be hashed and proved.

Numbers are IEEE 754 doubles (I-JSON, RFC 7493): an integer beyond 2^53 - 1 is
refused rather than rounded. NUL is refused because PostgreSQL cannot show it.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
import rfc8785
from jobledger.domain.errors import InvalidFieldError

JsonObject = dict[str, Any]

MAX_INTEGER: Final = 2**53 - 1

_OPTIONS: Final = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
# Where orjson's bytes may not be the canonical ones: a number with a fraction or an
# exponent, a null (its NaN), or a key beyond ASCII (sorted by UTF-16 there). What only
# looks like one, in a string, costs time and nothing else.
_DOUBTFUL: Final = re.compile(rb"[:\[,](?:-?[0-9]+[.eE]|null)")
_LONG: Final = re.compile(rb"[:\[,]-?[0-9]{16}")
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def encode(value: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a JSON object.

    Raises InvalidFieldError for what JSON, or PostgreSQL's JSON, cannot hold.
    """
    return encode_any(value) if value else b"{}"


def encode_any(value: Any) -> bytes:
    """The canonical bytes of any JSON value; raises InvalidFieldError likewise."""
    try:
        encoded = orjson.dumps(value, option=_OPTIONS)
        if not encoded.isascii() or _DOUBTFUL.search(encoded):
            # Slower by far, and right about every number.
            encoded = rfc8785.dumps(dict(value) if isinstance(value, Mapping) else value)
    except (orjson.JSONEncodeError, rfc8785.CanonicalizationError) as error:
        raise InvalidFieldError("data", f"is not JSON: {error}") from error
    if b"\\u0000" in encoded and _NUL.search(encoded):
        raise InvalidFieldError("data", "holds a NUL character")
    return encoded


def decode(data: bytes) -> JsonObject:
    """The JSON object that `data` holds; raises InvalidFieldError where it holds none."""
    try:
        value = loads(data)
    except ValueError as error:
        raise InvalidFieldError("data", f"is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidFieldError("data", "is not a JSON object")
    return value


def loads(data: bytes | str) -> Any:
    """Any JSON value; an integer that only a double can hold is one. Raises ValueError."""
    encoded = data.encode() if isinstance(data, str) else bytes(data)
    if _LONG.search(encoded):
        return json.loads(encoded, parse_int=_number)
    return orjson.loads(encoded)


def _number(text: str) -> int | float:
    return int(text) if abs(int(text)) <= MAX_INTEGER else float(text)
