"""The scalars of proto3 JSON: each check returns the value in its normal form, or refuses it.

A check gets `depth_left`, how many messages may still be nested; scalars do not use it.
"""

from __future__ import annotations

import json
import re
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from jobledger.domain.values.canonical import json_type

Check = Callable[[Any, int], Any]

MAX_DOUBLE: Final = sys.float_info.max
MAX_FLOAT: Final = 3.4028235e38
"""The largest 32-bit float, as its shortest decimal text, which Google's clients write."""
MAX_SECONDS: Final = 315_576_000_000

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_STANDARD_ALPHABET: Final = str.maketrans("-_", "+/")
_TIMESTAMP: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])"
    r"(?:\.([0-9]{1,9}))?(Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_DURATION: Final = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?s")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")


class Refused(Exception):  # noqa: N818  it never leaves this package
    """A value that is not accepted: the reason, and its path below the checked value."""

    def __init__(self, why: str) -> None:
        self.why = why
        self.path = ""
        super().__init__(why)

    def under(self, step: str | int) -> Refused:
        """Returns the refusal with the path of the object or list that holds the value in front."""
        if isinstance(step, int):
            self.path = f"[{step}]{self.path}"
        elif _PLAIN_KEY.fullmatch(step):
            self.path = f".{step}{self.path}"
        else:
            self.path = f"[{shown(step)}]{self.path}"
        return self


def shown(text: str) -> str:
    """Returns a text in quotes for a sentence: ASCII only, and shortened."""
    return json.dumps(text if len(text) <= 100 else text[:100] + "…")


def string(value: Any, _: int) -> str:
    """Checks text that UTF-8, JSON and PostgreSQL can store."""
    if not isinstance(value, str):
        raise Refused(f"must be a string, not {json_type(value)}")
    if "\0" in value:
        raise Refused("has a NUL character; remove it")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Refused("has half of a surrogate pair, which is not Unicode; remove it") from None
    return value


def boolean(value: Any, _: int) -> bool:
    """Checks a bool."""
    if value is True or value is False:
        return value
    raise Refused(f"must be true or false, not {json_type(value)}")


def integer(low: int, high: int, normal: Callable[[int], int | str]) -> Check:
    """Returns a check of integers within these bounds, as a number or in a string."""

    def check(value: Any, _: int) -> int | str:
        number = value if type(value) is int else _whole(value)
        if not low <= number <= high:
            raise Refused(f"must be from {low} to {high}, not {number}")
        return normal(int(number))

    return check


def _whole(value: Any) -> int | float | Decimal:
    """Returns a number without a fraction in its original form, because it may be too large to write out."""
    if type(value) is float and value.is_integer():
        return value
    if not isinstance(value, str):
        what = "a fraction" if type(value) is float else json_type(value)
        raise Refused(f"must be a whole number, not {what}")
    try:
        number = Decimal(value) if _NUMBER.fullmatch(value) else None
    except InvalidOperation:  # an exponent beyond any number's
        number = None
    if number is None or number != number.to_integral_value():
        raise Refused(f"must be a whole number, not {shown(value)}")
    return number


def floating(largest: float) -> Check:
    """Returns a check of numbers up to this size, as a number or in a string; NaN and the infinities by name."""

    def check(value: Any, _: int) -> float | str:
        number = value if type(value) is float else _float(value)
        if isinstance(number, str) or -largest <= number <= largest:
            return number
        raise Refused(f"must be finite, from {-largest} to {largest}")

    return check


def _float(value: Any) -> float | str:
    if isinstance(value, str):
        if value in {"NaN", "Infinity", "-Infinity"}:
            return value
        if _NUMBER.fullmatch(value):
            return float(value)
        raise Refused(f"must be a number, not {shown(value)}")
    if type(value) is not int:
        raise Refused(f"must be a number, not {json_type(value)}")
    return double(value)


def double(value: int) -> float:
    """Converts an integer to a double; raises Refused if it is too large."""
    try:
        return float(value)
    except OverflowError:
        raise Refused(f"must be a number up to {MAX_DOUBLE:g}, the largest double") from None


def octets(value: Any, depth_left: int) -> str:
    """Checks base64 of either alphabet, padded or not; returns it padded, in the standard alphabet."""
    text = string(value, depth_left)
    bare = text.rstrip("=")
    padded = bare + "=" * (-len(bare) % 4)
    if not _BASE64.fullmatch(text) or len(bare) % 4 == 1 or text not in (bare, padded):
        raise Refused(f"must be bytes in base64, not {shown(text)}")
    return b64encode(b64decode(padded.translate(_STANDARD_ALPHABET))).decode()


def timestamp(value: Any, _: int) -> str:
    """Checks an RFC 3339 time with an offset; returns it in UTC."""
    parts = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    try:
        if not parts:
            raise ValueError
        time, fraction, offset = parts.groups()
        utc = datetime.fromisoformat(time + offset).astimezone(UTC)
    except (ValueError, OverflowError):
        why = 'must be a time as "2026-01-31T12:00:00.5Z", from year 1 to 9999'
        raise Refused(why) from None
    return f"{utc.replace(tzinfo=None).isoformat()}{_fraction(fraction)}Z"


def duration(value: Any, _: int) -> str:
    """Checks a duration: seconds, with or without a fraction, followed by `s`."""
    parts = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not parts or int(parts[2]) > MAX_SECONDS:
        raise Refused(f'must be seconds as "3.5s", from -{MAX_SECONDS}s to {MAX_SECONDS}s')
    sign, seconds, fraction = parts.groups()
    amount = f"{int(seconds)}{_fraction(fraction)}"
    return f"{sign if amount != '0' else ''}{amount}s"


def _fraction(digits: str | None) -> str:
    """Returns a fraction of a second with three, six or nine digits, or "" if it is zero."""
    digits = (digits or "").rstrip("0")
    return f".{digits.ljust(-len(digits) // 3 * -3, '0')}" if digits else ""


SCALARS: Final[dict[str, Check]] = {
    "bool": boolean,
    "bytes": octets,
    "double": floating(MAX_DOUBLE),
    "duration": duration,
    "fieldMask": string,
    "float": floating(MAX_FLOAT),
    "int32": integer(-(2**31), 2**31 - 1, int),
    "int64": integer(-(2**63), 2**63 - 1, str),
    "string": string,
    "timestamp": timestamp,
    "uint32": integer(0, 2**32 - 1, int),
    "uint64": integer(0, 2**64 - 1, str),
}
"""The checks by their names in the schemas."""
