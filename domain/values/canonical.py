"""Canonical JSON (RFC 8785): each value has exactly one encoding, so that it can be hashed and proved.

Numbers are IEEE 754 doubles (I-JSON, RFC 7493): an integer beyond 2^53 - 1 is refused rather than
rounded. NUL is refused because PostgreSQL cannot represent it in text.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any, Final

import orjson
import rfc8785
from jobledger.domain.errors import InvalidFieldError, shown

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
# exponent, a null (its NaN), or keys that UTF-16 sorts otherwise: those with a character
# beyond U+FFFF stand before those with one from U+E000 to U+FFFF. What only looks like
# one, in a string, costs time and nothing else. A pattern that begins with a set of
# characters is searched for in a third of the time.
_DOUBTFUL: Final = re.compile(rb"[:\[,](?:-?[0-9]+[.eE]|null)")
_BEYOND_UFFFF: Final = re.compile(rb"[\xf0-\xf4]")
"""How UTF-8 of these characters begins."""
_FROM_UE000: Final = re.compile(rb"[\xee\xef]")
_HOLDERS: Final = b'{["'
"""How JSON begins that is neither a number nor a null."""
_LONG_DIGITS: Final = 16  # Of an integer beyond 2^53 - 1, at least.
_LONG: Final = re.compile(rb"(?:^|[:\[,] ?)-?[0-9]{16}")
_DIGITS: Final = re.compile(r"[0-9]{16}")
_DIGITS_BYTES: Final = re.compile(rb"[0-9]{16}")
HAS_NUL: Final = "has a NUL character, which cannot be stored; remove it"
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def encode(value: Mapping[str, Any]) -> bytes:
    """Encodes a JSON object.

    Args:
        value: The object.

    Returns:
        The canonical bytes.

    Raises:
        InvalidFieldError: JSON or PostgreSQL cannot represent a value.

    Examples:
        >>> from jobledger.domain.values.canonical import encode
        >>> encode({"b": 1.0, "a": None})
        b'{"a":null,"b":1}'
    """
    return encode_any(value) if value else b"{}"


def encode_any(value: Any) -> bytes:
    """Encodes any JSON value; raises InvalidFieldError as `encode` does."""
    try:
        encoded = orjson.dumps(value, option=_OPTIONS)
        if encoded[0] not in _HOLDERS or _is_doubtful(encoded):
            # Slower by far, and right about every number.
            encoded = rfc8785.dumps(dict(value) if isinstance(value, Mapping) else value)
    except (orjson.JSONEncodeError, rfc8785.CanonicalizationError, RecursionError) as error:
        raise InvalidFieldError("data", _why_not(value, error)) from None
    if has_nul(encoded):
        raise InvalidFieldError("data", HAS_NUL)
    return encoded


def has_nul(encoded: bytes) -> bool:
    """Whether a text in this JSON has a NUL character."""
    return b"\\u0000" in encoded and _NUL.search(encoded) is not None


def _is_doubtful(encoded: bytes) -> bool:
    """Whether these bytes of orjson's may not be the canonical ones."""
    if not encoded.isascii() and _BEYOND_UFFFF.search(encoded) and _FROM_UE000.search(encoded):
        return True
    return _DOUBTFUL.search(encoded) is not None


def _why_not(value: Any, error: Exception) -> str:
    """Returns why a value cannot be encoded, with the part of it that is wrong."""
    for path, number in _large_integers(value, "", 100):
        return (
            f"{path or 'it'} is the integer {number}, and JSON numbers are exact up to"
            f" {MAX_INTEGER} (2^53 - 1) only: write it as a string"
        )
    for path, what in _not_json(value, "", 100):
        return f"is not JSON: {path or 'it'} is {what}"
    return f"is not JSON: {error}"


def _not_json(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """The parts of a value that JSON cannot represent, and what would be right."""
    match value:
        case float() if not isfinite(value):
            yield path, f"{value}, which JSON cannot represent; write it as a string, or null"
        case None | bool() | int() | float():
            return
        case str():
            if not _is_unicode(value):
                yield path, f"{shown(value)}, which has half of a surrogate pair"
        case Mapping() if depth:
            for key, item in value.items():
                if not isinstance(key, str):
                    yield path, f"an object with the key {shown(key)}; keys are strings"
                yield from _not_json(item, f"{path}.{key}" if path else str(key), depth - 1)
        case list() | tuple() if depth:
            for n, item in enumerate(value):
                yield from _not_json(item, f"{path}[{n}]", depth - 1)
        case _ if depth:
            kind = type(value).__name__
            yield path, f"{shown(value)}, a {kind}; JSON has objects, lists, strings and numbers"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _large_integers(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    match value:
        case bool():
            return
        case int() if abs(value) > MAX_INTEGER:
            # Python writes no more than some thousand digits.
            yield path, str(value) if value.bit_length() < 300 else f"of {value.bit_length()} bits"
        case Mapping() if depth:
            for key, item in value.items():
                yield from _large_integers(item, f"{path}.{key}" if path else str(key), depth - 1)
        case list() | tuple() if depth:
            for n, item in enumerate(value):
                yield from _large_integers(item, f"{path}[{n}]", depth - 1)


def decode(data: bytes) -> JsonObject:
    """Decodes a stored JSON object; raises InvalidFieldError if it is not one."""
    return _object(loads, data)


def loads_exact(data: bytes | str) -> Any:
    """Parses JSON with exact integers, however large; raises ValueError."""
    value = orjson.loads(data)
    return json.loads(data) if _may_be_large(data) else value


def loads_given(data: bytes | str) -> Any:
    """Parses a user's JSON with exact integers, however large.

    Halves of surrogate pairs, NaN and infinities are accepted here: `encode` refuses them, and
    reports are mended.

    Args:
        data: The JSON.

    Returns:
        The value.

    Raises:
        ValueError: The text is not JSON.
    """
    try:
        return loads_exact(data)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        pass  # Python's own reader takes more, and says what is wrong better.
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it nests too deep") from None


def decode_given(data: bytes | str) -> JsonObject:
    """Parses a user's JSON object, as `loads_given` does; raises InvalidFieldError if it is not one."""
    return _object(loads_given, data)


def _object(read: Callable[[bytes | str], Any], data: bytes | str) -> JsonObject:
    try:
        value = read(data)
    except ValueError as error:
        raise InvalidFieldError("data", f"is not JSON: {error}") from None
    return object_of("data", value)


def object_of(field: str, value: Any) -> JsonObject:
    """Returns the value if it is a JSON object; raises InvalidFieldError, with the path `field`."""
    if not isinstance(value, dict):
        raise InvalidFieldError(field, f"is not a JSON object, but {json_type(value)}")
    return value


def json_type(value: Any) -> str:
    """Returns the type of a value in words, such as `a list`, for an error message."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "an object"
    return f"a value of the type {type(value).__name__}"


def _may_be_large(data: bytes | str) -> bool:
    """Whether the text has a run of digits that may be too large for a double."""
    if isinstance(data, str):
        return _DIGITS.search(data) is not None
    return _DIGITS_BYTES.search(data) is not None


def loads(data: bytes | str) -> Any:
    """Parses stored JSON: an integer beyond 2^53 - 1 becomes a double; raises ValueError."""
    encoded = data.encode() if isinstance(data, str) else bytes(data)
    if len(encoded) >= _LONG_DIGITS and _LONG.search(encoded):
        return json.loads(encoded, parse_int=_number)
    return orjson.loads(encoded)


def _number(text: str) -> int | float:
    return int(text) if abs(int(text)) <= MAX_INTEGER else float(text)
