"""Arguments of calls, whose types nobody has checked."""

from typing import Final

from jobledger.domain.errors import InvalidFieldError, shown

MAX_COUNT: Final = 10**18 - 1
"""The largest number of things, and the largest position: 18 digits, which fit into a bigint."""


def text_of(field: str, value: object) -> str:
    """Returns the value if it is text; raises InvalidFieldError, with the name `field`."""
    if isinstance(value, str):
        return value
    raise InvalidFieldError(field, f"must be text, not {shown(value)}")


def parse_count(field: str, value: object) -> int:
    """Validates a number of things.

    Args:
        field: The name of the value, for errors.
        value: The number.

    Returns:
        The number.

    Raises:
        InvalidFieldError: It is not a whole number, negative, or larger than any position.

    Examples:
        >>> from jobledger.domain.values.arguments import parse_count
        >>> parse_count("limit", 10)
        10
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidFieldError(field, f"{shown(value)} is not a whole number; give 0 or more")
    if value < 0:
        raise InvalidFieldError(field, f"{value} is negative; give 0 or more")
    if value > MAX_COUNT:
        raise InvalidFieldError(field, f"{shown(value)} is too large; give {MAX_COUNT} at most")
    return value
