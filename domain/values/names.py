"""Names, times and identifiers: validated once, where they enter, and trusted afterwards.

A job's name is its resource name (AIP-122): `projects/p/jobs/train_1`,
`projects/p/locations/l/customJobs/42`, `projects/p/evaluationJobs/7`.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from jobledger.domain.errors import InvalidFieldError, shown
from jobledger.domain.values.arguments import text_of
from jobledger.domain.values.job_ids import MAX_ID, display_name, job_id, original_id
from jobledger.domain.values.labels import parse_labels

__all__ = [
    "CLOCK_SKEW", "EARLIEST", "MAX_ID", "MAX_TEXT",
    "display_name", "job_id", "job_name", "kind_of", "original_id", "parse_labels", "parse_name", "parse_text",
    "parse_time", "parse_trace_parent", "project_of",
]  # fmt: skip

_ID: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
_JOB_ID: Final = rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{MAX_ID - 1}}}"
_COLLECTION: Final = r"[a-z][A-Za-z]{0,62}"
_PARENT: Final = re.compile(rf"projects/{_ID}(?:/locations/{_ID})?/{_COLLECTION}/", re.ASCII)
_NAME: Final = re.compile(_PARENT.pattern + _JOB_ID, re.ASCII)
_SHAPE: Final = re.compile(rf"projects/[^/]+(?:/locations/[^/]+)?/{_COLLECTION}/[^/]+")
_TRACE_PARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

MAX_TEXT: Final = 256
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK_SKEW: Final = timedelta(days=1)


def parse_name(name: str) -> str:
    """Validates a job's resource name (AIP-122).

    Args:
        name: The name.

    Returns:
        The name.

    Raises:
        InvalidFieldError: It is not a job's resource name; the message says what is wrong.
    """
    return _parsed_name(text_of("name", name))


@lru_cache(maxsize=65_536)
def _parsed_name(name: str) -> str:
    # What is refused is not kept: it may be of any length.
    if _NAME.fullmatch(name) is None:
        raise InvalidFieldError("name", f"{shown(name)} {_why_not_a_name(name)}")
    return name


def _why_not_a_name(name: str) -> str:
    """Returns what is wrong with a name, and what would be right."""
    parent = _PARENT.match(name)
    if _SHAPE.fullmatch(name) and _PARENT.fullmatch(name[: name.rindex("/") + 1]) is None:
        return (
            "is of a project or location with other characters than letters (A-Z, a-z), digits,"
            " _ . and -, or with more than 128, or without a letter or digit first"
        )
    if parent is None or not name[parent.end() :]:
        return "is not of the form projects/PROJECT/jobs/ID (AIP-122)"
    encoded = shown(job_id(name[parent.end() :]))
    return (
        f"is not a job's name: an ID has letters (A-Z, a-z), digits, _ . and -, a letter or digit"
        f" first, {MAX_ID} characters at most; of any other id jobledger.names.job_id makes one:"
        f" {encoded}"
    )


def job_name(project: str, original: str, collection: str = "jobs") -> str:
    """Makes the name of a job that another system calls `original`; raises InvalidFieldError."""
    return parse_name(f"projects/{project}/{collection}/{job_id(original)}")


def project_of(name: str) -> str:
    """Returns the project's id: `p` in `projects/p/jobs/train_1`."""
    return name.split("/", 2)[1]


@lru_cache(maxsize=65_536)
def kind_of(name: str) -> str:
    """Returns the job's collection: `jobs` in `projects/p/jobs/train_1`."""
    return name.rsplit("/", 2)[1]


def parse_time(time: datetime, now: datetime, field: str = "occurred_time") -> datetime:
    """Validates a time that somebody reports.

    Clocks differ, so a time may be up to a day ahead of `now`.

    Args:
        time: A time with a time zone, from 1970.
        now: The present time (UTC).
        field: The field's name, for errors.

    Returns:
        The time in UTC.

    Raises:
        InvalidFieldError: The value is no datetime, has no time zone, is before 1970, or more than a day ahead.
    """
    check_zone(field, time)
    if time < EARLIEST:
        raise InvalidFieldError(
            field, f"{time.isoformat()} is before 1970-01-01, the earliest time"
        )
    if time > now + CLOCK_SKEW:
        raise InvalidFieldError(
            field, f"{time.isoformat()} is more than a day ahead of now, {now.isoformat()}"
        )
    return time if time.tzinfo is UTC else time.astimezone(UTC)


def check_zone(field: str, time: datetime) -> datetime:
    """Returns the time if it is one with a time zone; raises InvalidFieldError, with the name `field`."""
    if not isinstance(time, datetime):
        raise InvalidFieldError(field, f"must be a datetime, not {shown(time)}")
    if time.utcoffset() is None:
        raise InvalidFieldError(
            field, f"{time!s} has no time zone; add an offset, such as Z or +02:00"
        )
    return time


def parse_text(field: str, text: str | None) -> str | None:
    """Validates a short text such as an actor or a request id.

    Args:
        field: The field's name, for errors.
        text: The text, or None.

    Returns:
        The text.

    Raises:
        InvalidFieldError: The text is not 1 to 256 printable characters.
    """
    if text is None:
        return None
    if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT or not text.isprintable():
        raise InvalidFieldError(field, f"{shown(text)} is not 1 to {MAX_TEXT} printable characters")
    return text


def parse_trace_parent(text: str | None) -> str | None:
    """Validates a W3C Trace Context `traceparent`.

    Args:
        text: The value, or None.

    Returns:
        The value.

    Raises:
        InvalidFieldError: The value is not a traceparent.
    """
    if text is None or (isinstance(text, str) and _TRACE_PARENT.fullmatch(text)):
        return text
    raise InvalidFieldError(
        "trace_parent",
        f"{shown(text)} is not a W3C traceparent, such as 00-{'0' * 31}1-{'0' * 15}1-01",
    )
