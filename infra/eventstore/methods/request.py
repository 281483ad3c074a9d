"""The base of the methods for commands and reports: sending a request with its metadata."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, TypedDict, TypeVar

from jobledger.domain import commands
from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError, shown
from jobledger.domain.reports import parse_report

Answer = TypeVar("Answer")
"""The job after the event, or an awaitable of it."""
Fields = Mapping[str, Any]
"""A JSON object."""


class About(TypedDict, total=False):
    """The metadata of any event."""

    occurred_time: datetime
    """When it happened (valid time), with a time zone, from 1970 to a day ahead; absent: now."""
    actor: str
    """The user or program that asks for it or reports it: 1 to 256 printable characters."""
    request_id: str
    """Makes the request idempotent (AIP-155): 1 to 256 printable characters."""
    trace_parent: str
    """W3C Trace Context."""


class AboutReport(About, total=False):
    """The metadata of a report, which may also name an attempt."""

    attempt: int
    """The number of the attempt that the report is about, from 1, as `Job.attempt` counts."""
    run_id: str
    """The reporter's own id of that attempt: 1 to 256 printable characters."""


Send = Callable[[str, Callable[[], commands.JobCommand | Data], About], Answer]
"""Takes a job's name, a function that makes the request, and the metadata; returns the answer."""


def report_of(type_: str, data: Fields, named: Fields) -> Data:
    """Parses a report whose fields are in `data`, or else `named`; raises InvalidFieldError as `parse_report`."""
    if not isinstance(data, Mapping):
        raise InvalidFieldError("data", f"must be an object, not {shown(data)}")
    return parse_report(type_, {**named, **data})


class Methods(Generic[Answer]):
    """Methods that each send one request."""

    def __init__(self, send: Send[Answer]) -> None:
        """Creates the methods of one ledger.

        Args:
            send: Sends a request to the ledger. The function that makes the request is called
                there, so that what it raises reaches the caller with the answer.
        """
        self._send = send


def about_command(
    occurred_time: datetime | None,
    actor: str | None,
    request_id: str | None,
    trace_parent: str | None,
) -> About:
    """The metadata of a command, without the values that are None."""
    about: About = {}
    if occurred_time is not None:
        about["occurred_time"] = occurred_time
    if actor is not None:
        about["actor"] = actor
    if request_id is not None:
        about["request_id"] = request_id
    if trace_parent is not None:
        about["trace_parent"] = trace_parent
    return about


def about_report(
    occurred_time: datetime | None,
    actor: str | None,
    request_id: str | None,
    trace_parent: str | None,
    attempt: int | None,
    run_id: str | None,
) -> AboutReport:
    """The metadata of a report, without the values that are None."""
    about: AboutReport = {}
    if occurred_time is not None:
        about["occurred_time"] = occurred_time
    if actor is not None:
        about["actor"] = actor
    if request_id is not None:
        about["request_id"] = request_id
    if trace_parent is not None:
        about["trace_parent"] = trace_parent
    if attempt is not None:
        about["attempt"] = attempt
    if run_id is not None:
        about["run_id"] = run_id
    return about
