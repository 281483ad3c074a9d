"""Numbers of things that a caller gives: limits and sizes of pages."""

from jobledger.domain.errors import InvalidFieldError, shown


def parse_count(field: str, value: object) -> int:
    """Validates a number of things.

    Args:
        field: The name of the value, for errors.
        value: The number.

    Returns:
        The number.

    Raises:
        InvalidFieldError: It is not a whole number, or negative.

    Examples:
        >>> from jobledger.domain.values.counts import parse_count
        >>> parse_count("limit", 10)
        10
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidFieldError(field, f"{shown(value)} is not a whole number; give 0 or more")
    if value < 0:
        raise InvalidFieldError(field, f"{value} is negative; give 0 or more")
    return value
