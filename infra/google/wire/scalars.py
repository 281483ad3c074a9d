"""What proto3 JSON lets a scalar be: each check returns the value in its one normal form, or refuses it.

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
"""The largest float of 32 bits, as its shortest text names it: Google's clients write that."""
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
    """A value that is not accepted: why, and where below the value that was being checked."""

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
    """Any text in quotes, as it may be put into a sentence: ASCII, and not long."""
    return json.dumps(text if len(text) <= 100 else text[:100] + "…")


def string(value: Any, _: int) -> str:
    """Text that UTF-8, JSON and PostgreSQL can hold."""
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
    """A whole number within these bounds, as a number or in a string."""

    def check(value: Any, _: int) -> int | str:
        number = value if type(value) is int else _whole(value)
        if not low <= number <= high:
            raise Refused(f"must be from {low} to {high}, not {number}")
        return normal(int(number))

    return check


def _whole(value: Any) -> int | float | Decimal:
    """A number without a fraction; still as it came, for it may be too large to write out."""
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
    """A number up to this size, as a number or in a string; the three that JSON lacks by name."""

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
    """Bytes in base64 of either alphabet, padded or not; padded, of the standard one, afterwards."""
    text = string(value, depth_left)
    bare = text.rstrip("=")
    padded = bare + "=" * (-len(bare) % 4)
    if not _BASE64.fullmatch(text) or len(bare) % 4 == 1 or text not in (bare, padded):
        raise Refused(f"must be bytes in base64, not {shown(text)}")
    return b64encode(b64decode(padded.translate(_STANDARD_ALPHABET))).decode()


def timestamp(value: Any, _: int) -> str:
    """A time of RFC 3339 with its offset; in UTC afterwards."""
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
    """Seconds, with a fraction or without, and an `s`."""
    parts = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not parts or int(parts[2]) > MAX_SECONDS:
        raise Refused(f'must be seconds as "3.5s", from -{MAX_SECONDS}s to {MAX_SECONDS}s')
    sign, seconds, fraction = parts.groups()
    amount = f"{int(seconds)}{_fraction(fraction)}"
    return f"{sign if amount != '0' else ''}{amount}s"


def _fraction(digits: str | None) -> str:
    """A fraction of a second in three, six or nine digits; nothing if it is nought."""
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
"""By their names in the schemas."""
