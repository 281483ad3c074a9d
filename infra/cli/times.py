"""Shows times in tables to the second, in UTC, or with `--local` in the zone of TZ or of the machine."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime
from typing import Final

LOCAL: Final = ContextVar("LOCAL", default=False)
"""Whether times are shown in the local zone; `--local` sets it."""


def shown_time(time: str | None) -> str:
    """Returns a time (RFC 3339 in UTC) for a table; "" for none. A local time has its offset."""
    if time is None:
        return ""
    if not LOCAL.get():
        return time[:19].replace("T", " ")
    return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S%z")


def time_header(name: str) -> str:
    """Returns the header of a column of times; it names the zone if the times do not."""
    return name if LOCAL.get() else f"{name} (UTC)"
