"""The window of a statistic, and its buckets; all times are UTC."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.arguments import text_of
from jobledger.domain.values.moments import AtTime, Clock, parse_as_of
from jobledger.infra.eventstore.json_view import time_text

ORIGIN: Final = datetime(2001, 1, 1, tzinfo=UTC)
"""A Monday, so that weeks begin on one; all buckets are counted from it."""
MAX_BUCKETS: Final = 10_000
"""Buckets in one report."""
MAX_BUCKET_LENGTH: Final = timedelta(weeks=520)
DEFAULT_LENGTHS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (1, 10, 60, 300, 900, 3600, 10800, 43200, 86400, 7 * 86400, 28 * 86400)
)
MAX_DEFAULT_BUCKETS: Final = 60
"""Buckets at most, if no length is given."""

_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_BUCKET: Final = re.compile(r"(?P<count>[1-9]\d{0,8})(?P<unit>[smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Window(NamedTuple):
    """The time from `begin`, inclusive, to `end`, exclusive; without `bucket` it is not divided."""

    begin: datetime
    end: datetime
    bucket: timedelta | None = None

    @property
    def first(self) -> datetime:
        """The first beginning of a bucket in the window."""
        assert self.bucket is not None
        floor = floor_of(self.begin, self.bucket)
        return floor if floor == self.begin else floor + self.bucket

    @property
    def last(self) -> datetime:
        """The last beginning of a bucket, which may be the window's end."""
        assert self.bucket is not None
        return floor_of(self.end, self.bucket)


def parse_bucket(text: str) -> timedelta:
    """Parses `15m`, `1h`, `1d` or `1w` (s, m, h, d, w); raises InvalidFieldError."""
    message = _BUCKET.fullmatch(text_of("bucket", text).strip().lower())
    if message is None:
        raise InvalidFieldError("bucket", f"{text!r} is not like 30s, 15m, 1h, 1d or 1w")
    try:
        bucket = timedelta(**{_UNITS[message["unit"]]: int(message["count"])})
    except OverflowError:
        bucket = timedelta.max
    if bucket > MAX_BUCKET_LENGTH:
        raise InvalidFieldError(
            "bucket", f"{text!r} is longer than {length_text(MAX_BUCKET_LENGTH)}, the limit"
        )
    return bucket


def parse_instant(field: str, text: str, now: datetime) -> datetime:
    """Parses a time as `--as-of` does; raises InvalidFieldError, also for a time in the future."""
    try:
        value = parse_as_of(text, Clock.OCCURRED, now)
    except InvalidFieldError as error:
        raise InvalidFieldError(field, error.why) from None
    if not isinstance(value, AtTime) or value.known is not None:
        raise InvalidFieldError(
            field, f"{text!r} is not a time, such as 2026-12-31 or '2 hours ago'"
        )
    if value.time > now:
        raise InvalidFieldError(
            field, f"{time_text(value.time)} is in the future: it is {time_text(now)} now"
        )
    return value.time


def window_of(
    begin: datetime | None,
    end: datetime | None,
    happened: tuple[datetime | None, datetime | None],
    now: datetime,
) -> Window:
    """Returns the window that was asked for; the default is all events. Raises InvalidFieldError."""
    first, last = happened
    start = begin or min(first or now, end or now)
    stop = end or max(min(now, (last or now) + timedelta(microseconds=1)), start)
    if start > stop or (begin and end and start == stop):
        raise InvalidFieldError(
            "from", f"{time_text(start)} is not before {time_text(stop)}, the end"
        )
    return Window(start, stop)


def cut(
    window: Window, bucket: timedelta | None, given: tuple[bool, bool], now: datetime
) -> Window:
    """Divides the window into buckets.

    The ends of the window move to ends of buckets, except for those that were given.

    Args:
        window: The first and the last time (UTC).
        bucket: The length of a bucket; None for a default one that makes at most 60 buckets.
        given: Whether the first and the last time were given.
        now: The present time (UTC).

    Returns:
        The window with the length of its buckets.

    Raises:
        InvalidFieldError: There would be more than 10,000 buckets, or one before the year 1.
    """
    length = bucket or next(
        (
            usual
            for usual in DEFAULT_LENGTHS
            if window.end - window.begin <= usual * MAX_DEFAULT_BUCKETS
        ),
        DEFAULT_LENGTHS[-1],
    )
    if (window.end - window.begin) / length > MAX_BUCKETS:
        raise InvalidFieldError(
            "bucket", f"{length_text(length)} makes more than {MAX_BUCKETS:,} buckets of this time"
        )
    if window.begin - _FIRST < length:
        why = f"{time_text(window.begin)} is too early for buckets of {length_text(length)}"
        raise InvalidFieldError("from", why)
    begin = window.begin if given[0] else floor_of(window.begin, length)
    end = window.end
    if not given[1] and floor_of(end, length) != end:
        end = min(now, floor_of(end, length) + length)
    return Window(begin, max(begin, end), length)


def floor_of(time: datetime, bucket: timedelta) -> datetime:
    """Returns the beginning of the bucket that contains a time."""
    return time - (time - ORIGIN) % bucket


def length_text(bucket: timedelta) -> str:
    """Returns the text of a length that `parse_bucket` parses: `15m`."""
    seconds = int(bucket.total_seconds())
    for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
