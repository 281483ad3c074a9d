"""Times in text, as in RFC 3339: with a zone, and cut to microseconds if they have more digits."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

CLOCK: Final = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
"""A time of day with its zone."""
DAY: Final = (
    r"(?!0000)[0-9]{4}-"
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
"""A date that exists in every year; LEAP_DAY matches 29 February."""
LEAP_DAY: Final = (
    r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29"
)
INSTANT: Final = rf"^(?:{DAY}|{LEAP_DAY}){CLOCK}$"
"""A regular expression with the same meaning in Python and in PostgreSQL."""
_INSTANT: Final = re.compile(INSTANT, re.ASCII)


def read_instant(text: str) -> datetime | None:
    """Returns the time in UTC, cut to microseconds; None if the text is not a time of RFC 3339."""
    if not text.isascii() or _INSTANT.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # Before year 1, or after 9999, in UTC.
        return None


def parse_iso(text: str) -> datetime:
    """Parses an ISO 8601 time; `t` and `z` may be in lower case (RFC 3339, section 5.6).

    Args:
        text: The time, with or without a zone, cut to microseconds if it has more digits.

    Returns:
        The time, in the zone of the text; without a zone if the text names none.

    Raises:
        ValueError: The text is not a time.
        TypeError: It is not a text.

    Examples:
        >>> from jobledger.domain.values.times import parse_iso
        >>> parse_iso("2026-11-30t10:05:00z").isoformat()
        '2026-11-30T10:05:00+00:00'
    """
    return datetime.fromisoformat(str.upper(text))


def utc_text(time: datetime) -> str:
    """Returns a UTC time as `2026-11-30T10:05:00Z`, with as many digits of the second as it has."""
    return time.isoformat().replace("+00:00", "Z")
