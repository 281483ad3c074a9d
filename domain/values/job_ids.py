"""Encodes ids of other systems (Slurm, PBS, Kubernetes, Temporal, …) as ids of jobs, reversibly.

A job's id has letters, digits, `_`, `.` and `-`, a letter or digit first, and 2,048 characters at
most. An id of that form stays as it is. Otherwise:

- each other character becomes `_x`, its code point in hex (capitals), and `_`: `[` is `_x5B_`
- `_` becomes `_x5F_` if it would begin such a sequence
- an id that does not begin with a letter or digit gets `x_x_` before it

`123456_[9201-10000%500]` becomes `123456__x5B_9201-10000_x25_500_x5D_`. Any code point is accepted,
also that of a byte that is not UTF-8, as Python represents it.

An id that would be longer than 2,048 characters keeps its beginning, and ends in `_sha256_` and the
SHA-256 of the whole. Only this form cannot be reversed; the job's display name has the original.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError

MAX_ID: Final = 2_048
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_SPECIAL: Final = re.compile(r"[^A-Za-z0-9_.-]|_(?=x[0-9A-F]*[^A-Za-z0-9.-])")
_ESCAPE: Final = re.compile(r"_x([0-9A-F]{1,6})_")
_EMPTY: Final = "x_x_"


def job_id(original: str) -> str:
    """Encodes any id of another system as a job's id.

    Args:
        original: The other system's id.

    Returns:
        The job's id.

    Raises:
        InvalidFieldError: The id is empty.

    Examples:
        >>> from jobledger.names import job_id, original_id
        >>> job_id("array[7]")
        'array_x5B_7_x5D_'
        >>> original_id("array_x5B_7_x5D_")
        'array[7]'
    """
    if not isinstance(original, str) or not original:
        raise InvalidFieldError(
            "id", f"{original!r} is not an id: it must be a text, and not empty"
        )
    if len(original) <= MAX_ID and "_x" not in original and _PLAIN.fullmatch(original):
        return original
    encoded = _SPECIAL.sub(lambda found: f"_x{ord(found[0]):X}_", original)
    if not (encoded[0].isascii() and encoded[0].isalnum()):
        encoded = _EMPTY + encoded
    return encoded if len(encoded) <= MAX_ID else _shortened(encoded, original)


def original_id(id_: str) -> str:
    """Decodes a job's id; an id that `job_id` did not encode is returned as it is."""
    return _ESCAPE.sub(lambda found: _character(found[1]), id_.removeprefix(_EMPTY))


def display_name(original: str) -> Mapping[str, Any]:
    """Returns the part of a job's spec that holds the original id; empty if the job's id is the same.

    Characters that cannot be stored (NUL, halves of surrogate pairs) are escaped.
    """
    if job_id(original) == original:
        return {}
    shown = original.encode("utf-8", "backslashreplace").decode().replace("\0", r"\x00")
    return {"displayName": shown}


def _character(digits: str) -> str:
    code = int(digits, 16)
    return chr(code) if code <= 0x10FFFF else f"_x{digits}_"


def _shortened(encoded: str, original: str) -> str:
    digest = hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()
    end = f"_sha256_{digest}"
    return encoded[: MAX_ID - len(end)] + end
