"""Names, labels, times and identifiers: checked once, at the border, and believed afterwards.

A job's name is its resource name (AIP-122): `projects/p/jobs/train_1`,
`projects/p/locations/l/customJobs/42`, `projects/p/evaluationJobs/7`.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from jobledger.domain.errors import InvalidFieldError, shown
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
_TRACE_PARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

MAX_TEXT: Final = 256
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK_SKEW: Final = timedelta(days=1)


@lru_cache(maxsize=65_536)
def parse_name(name: str) -> str:
    """`name` itself, if it is a job's resource name; raises InvalidFieldError otherwise."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidFieldError("name", f"{shown(name)} {_why_not_a_name(name)}")
    return name


def _why_not_a_name(name: object) -> str:
    """What is wrong with a name, and what would be right."""
    parent = _PARENT.match(name) if isinstance(name, str) else None
    if parent is None or not isinstance(name, str) or not name[parent.end() :]:
        return "is not of the form projects/PROJECT/jobs/ID (AIP-122)"
    encoded = shown(job_id(name[parent.end() :]))
    return (
        f"is not a job's name: an ID has letters (A-Z, a-z), digits, _ . and -, a letter or digit"
        f" first, {MAX_ID} characters at most; of any other id jobledger.names.job_id makes one:"
        f" {encoded}"
    )


def job_name(project: str, original: str, collection: str = "jobs") -> str:
    """The name of a job that another system calls `original`; raises InvalidFieldError."""
    return parse_name(f"projects/{project}/{collection}/{job_id(original)}")


def project_of(name: str) -> str:
    """`p`, of `projects/p/jobs/train_1`."""
    return name.split("/", 2)[1]


def kind_of(name: str) -> str:
    """The collection a job is in: `jobs`, of `projects/p/jobs/train_1`."""
    return name.rsplit("/", 2)[1]


def parse_time(time: datetime, now: datetime, field: str = "occurred_time") -> datetime:
    """The time in UTC; raises InvalidFieldError if it has no zone or cannot be right.

    Clocks differ, so a time may be up to a day ahead of `now`; none is before 1970.
    """
    if not isinstance(time, datetime) or time.utcoffset() is None:
        raise InvalidFieldError(field, f"{time!s} has no time zone")
    if time < EARLIEST:
        raise InvalidFieldError(field, f"{time.isoformat()} is before 1970")
    if time > now + CLOCK_SKEW:
        raise InvalidFieldError(field, f"{time.isoformat()} is more than a day ahead")
    return time if time.tzinfo is UTC else time.astimezone(UTC)


def parse_text(field: str, text: str | None) -> str | None:
    """A short line of text (an actor, a request id): 1 to 256 printable characters."""
    if text is None:
        return None
    if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT or not text.isprintable():
        raise InvalidFieldError(field, f"{shown(text)} is not 1 to {MAX_TEXT} printable characters")
    return text


def parse_trace_parent(text: str | None) -> str | None:
    """A W3C Trace Context `traceparent`; raises InvalidFieldError otherwise."""
    if text is None or (isinstance(text, str) and _TRACE_PARENT.fullmatch(text)):
        return text
    raise InvalidFieldError("trace_parent", f"{shown(text)} is not a W3C traceparent")
