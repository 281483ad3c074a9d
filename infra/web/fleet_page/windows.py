"""The window of time that the fleet's chart shows."""

from datetime import datetime, timedelta
from typing import Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.moments import Clock, Moment
from jobledger.domain.values.names import EARLIEST
from jobledger.infra.history.counts.state_counts import MICROSECOND, Extent, extent
from jobledger.infra.read.reader import Reader
from jobledger.infra.web.charts import Span
from jobledger.infra.web.links import WINDOWS, FleetLink

DEFAULT_WINDOW: Final = "24h"
MIN_LENGTH: Final = timedelta(seconds=1)
SHARE_AFTER: Final = 0.25
"""The share of a window after its moment, if the moment is not in the latest window."""


def read_extent(reader: Reader, moment: Moment, project: str | None) -> Extent:
    """Reads the times of the first and the last event known at the moment; from EARLIEST if there are none."""
    last = moment if moment.clock is Clock.OCCURRED else reader.moment(None)
    return extent(reader, last, project) or Extent(EARLIEST, EARLIEST)


def find_window(
    reader: Reader, link: FleetLink, moment: Moment, project: str | None
) -> tuple[Span, Extent]:
    """Returns the window of the link, and the times of the first and the last event."""
    whole = read_extent(reader, moment, project)
    return window_of(link, whole, moment, reader.moment(None).time), whole


def window_of(link: FleetLink, whole: Extent, moment: Moment, now: datetime) -> Span:
    """Returns the window of time that a chart shows.

    Args:
        link: The address of the page.
        whole: The time from the first event to the last.
        moment: The moment of the link.
        now: The present time (UTC).

    Returns:
        The link's window; by default the last 24 h that have events, or those around the moment.

    Raises:
        InvalidFieldError: The window ends before it begins.
    """
    if link.begin or link.end:
        return _said(link, whole)
    length = WINDOWS[link.window or DEFAULT_WINDOW]
    if length is None or whole.begin == EARLIEST:
        return _said(link, whole)
    last = whole.end + MICROSECOND
    end = now if now - last < length else last
    if link.at and not end - length <= moment.time <= end:
        end = min(now, moment.time + length * SHARE_AFTER)
    return Span(end - length, end)


def _said(link: FleetLink, whole: Extent) -> Span:
    begin = datetime.fromisoformat(link.begin) if link.begin else whole.begin
    end = datetime.fromisoformat(link.end) if link.end else whole.end + MICROSECOND
    if end < begin and link.begin and link.end:
        raise InvalidFieldError("from", f"{link.begin} is after {link.end}")
    return Span(min(begin, end - MIN_LENGTH), end)
