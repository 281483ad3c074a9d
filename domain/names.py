"""Names, labels, times and identifiers: checked once, at the border, and believed afterwards.

A job's name is its resource name (AIP-122): `projects/p/jobs/train_1`,
`projects/p/locations/l/customJobs/42`, `projects/p/evaluationJobs/7`.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from jobledger.domain.errors import InvalidFieldError

_ID: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
_COLLECTION: Final = r"[a-z][A-Za-z]{0,62}"
_NAME: Final = re.compile(rf"projects/{_ID}(?:/locations/{_ID})?/{_COLLECTION}/{_ID}", re.ASCII)
_TRACE_PARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

MAX_LABELS: Final = 64
MAX_LABEL_LENGTH: Final = 64
MAX_TEXT: Final = 256
LABEL_TEXT: Final = f"at most {MAX_LABEL_LENGTH} lower-case letters, digits, _ and -"
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK_SKEW: Final = timedelta(days=1)


@lru_cache(maxsize=65_536)
def parse_name(name: str) -> str:
    """`name` itself, if it is a job's resource name; raises InvalidFieldError otherwise."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidFieldError(
            "name",
            f"{_shown(name)} is not of the form projects/PROJECT/jobs/ID (AIP-122); an ID has"
            " 1 to 128 letters, digits, _, . and -, and begins with a letter or digit",
        )
    return name


def project_of(name: str) -> str:
    """`p`, of `projects/p/jobs/train_1`."""
    return name.split("/", 2)[1]


def kind_of(name: str) -> str:
    """The collection a job is in: `jobs`, of `projects/p/jobs/train_1`."""
    return name.rsplit("/", 2)[1]


def parse_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels as Vertex AI takes them; raises InvalidFieldError otherwise.

    Keys and values of at most 64 code points: lowercase letters of any script,
    digits, `_` and `-`; a key starts with a letter; 64 labels at most.
    """
    if len(labels) > MAX_LABELS:
        raise InvalidFieldError(
            "labels", f"{len(labels)} of them, and a job has {MAX_LABELS} at most"
        )
    for key, value in labels.items():
        if not (_is_label_text(key) and key[:1].isalpha()):
            raise InvalidFieldError(
                "labels", f"{_shown(key)} is not a label's key: {LABEL_TEXT}, a letter first"
            )
        if not _is_label_text(value):
            raise InvalidFieldError(
                "labels", f"{_shown(value)} is not a value for {key}: {LABEL_TEXT}"
            )
    return dict(labels)


def _is_label_text(text: object) -> bool:
    return isinstance(text, str) and len(text) <= MAX_LABEL_LENGTH and _has_label_letters(text)


@lru_cache(1024)
def _has_label_letters(text: str) -> bool:
    return text == text.lower() and all(c in "_-" or c.isalnum() for c in text)


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
        raise InvalidFieldError(
            field, f"{_shown(text)} is not 1 to {MAX_TEXT} printable characters"
        )
    return text


def parse_trace_parent(text: str | None) -> str | None:
    """A W3C Trace Context `traceparent`; raises InvalidFieldError otherwise."""
    if text is None or (isinstance(text, str) and _TRACE_PARENT.fullmatch(text)):
        return text
    raise InvalidFieldError("trace_parent", f"{_shown(text)} is not a W3C traceparent")


def _shown(value: object) -> str:
    """The value as an error message can bear it."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
