"""Reads that write on a primary server, and their answers on a hot standby, which cannot write.

A standby knows the events that it has replayed. A time after the last of them counts as the time of
the last, and the answer names it.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from jobledger.infra.errors import ReadOnlyServerError
from jobledger.infra.postgres import sql

PIN_TIME: Final = sql.load(__package__, "pin_time")
FOLD_NEXT: Final = sql.load(__package__, "follow")
READ_HEAD: Final = sql.load(__package__, "read_head")
READ_FOLLOWED: Final = sql.load(__package__, "read_followed")

MAX_AHEAD: Final = timedelta(days=1)
"""How far the server's clock may be ahead of this machine's."""
ReadRow = Callable[[bytes, Any], tuple[Any, ...]]
"""Runs a statement with parameters; returns its row. Raises LedgerError."""


class Pinned(NamedTuple):
    """The last position recorded by a time, and that time; on a standby no later than it replayed."""

    position: int
    time: datetime


class Followed(NamedTuple):
    """The position of a projection, and whether this server can write to it."""

    position: int
    writable: bool


def pin_time(read: ReadRow, time: datetime) -> Pinned:
    """Returns the last position recorded by a time; on a primary, later events are recorded after it.

    A time that is more than a day ahead of this machine's clock is not pinned: recorded times would
    stay there if the server's clock was wrong.

    Args:
        read: Reads one row.
        time: The time (UTC).

    Returns:
        The position, and the time.
    """
    if time > datetime.now(UTC) + MAX_AHEAD and (last := _last(read, time)) is not None:
        return last
    while True:
        try:
            return Pinned(int(read(PIN_TIME, (time,))[0]), time)
        except ReadOnlyServerError:
            if (last := _last(read, time)) is not None:
                return last
            # More events were replayed meanwhile, so the position can be found by its time.


def _last(read: ReadRow, time: datetime) -> Pinned | None:
    """Returns the last position, if all events were recorded by that time."""
    size, recorded = read(READ_HEAD, None)
    return Pinned(int(size), recorded) if recorded <= time else None


def fold_next(read: ReadRow, projection: str, position: int, most: int) -> Followed:
    """Folds some events into a projection that is behind `position`, if this server can write."""
    try:
        return Followed(int(read(FOLD_NEXT, (projection, position, most))[0]), writable=True)
    except ReadOnlyServerError:
        return Followed(int(read(READ_FOLLOWED, (projection,))[0]), writable=False)
