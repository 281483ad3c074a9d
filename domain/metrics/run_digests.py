"""The digests by which events of evaluation runs vouch for what is stored beside them.

These encodings have landed: a digest that is in an event must come out again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from jobledger.domain.values import canonical


class Digest(NamedTuple):
    """A SHA-256 in hex, and how many rows it is over."""

    hex: str
    rows: int


def time_text(time: datetime) -> str:
    """A time in UTC as evaluations and events of runs tell it, with as many digits as there are."""
    return time.isoformat().replace("+00:00", "Z")


def digest_of_samples(samples: Iterable[tuple[int, datetime, str, str, str | None]]) -> Digest:
    """Of a dataset: number, time, raw data, raw prediction and ground truth of each sample, in their order."""
    digest, count = hashlib.sha256(), 0
    for number, time, *texts in samples:
        digest.update(canonical.encode_any([number, time_text(time), *filter(None, texts)]) + b"\n")
        count += 1
    return Digest(digest.hexdigest(), count)


def digest_of_answers(answers: Iterable[tuple[int, str, Any]]) -> Digest:
    """Of a labeling task: sample, annotator and answer, in the order of samples and annotators."""
    said = [list(answer) for answer in answers]
    return Digest(hashlib.sha256(canonical.encode_any(said)).hexdigest(), len(said))


def digest_of_evaluations(text: bytes) -> str:
    """Of what a run found, as it is stored."""
    return hashlib.sha256(text).hexdigest()
