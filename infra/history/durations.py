"""Durations in words."""

from datetime import timedelta
from typing import Final

UNITS: Final = ((365 * 86_400, "years"), (86_400, "days"), (3_600, "h"), (60, "min"), (1, "s"))
WORDS: Final = frozenset({"years", "days"})


def elapsed(time: timedelta) -> str:
    """Returns a duration in its two largest units, as whole numbers: `4 min`, `2 h 5 min`."""
    left = int(abs(time).total_seconds())
    pieces: list[str] = []
    for seconds, unit in UNITS:
        count, left = divmod(left, seconds)
        if count or pieces:
            pieces.append(f"{count} {unit[:-1] if count == 1 and unit in WORDS else unit}")
        if len(pieces) == 2:
            break
    parts = [part for part in pieces if not part.startswith("0 ")]
    return " ".join(parts) or "less than 1 s"
