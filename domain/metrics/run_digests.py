"""The digests in events of evaluation runs, over rows that are stored apart from the events.

These encodings never change: the digest in an event must be reproducible.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from jobledger.domain.values import canonical
from jobledger.domain.values.times import utc_text


class Digest(NamedTuple):
    """A SHA-256 in hex, and how many rows it is over."""

    hex: str
    rows: int


def digest_of_samples(samples: Iterable[tuple[int, datetime, str, str, str | None]]) -> Digest:
    """Returns the digest of a dataset: number, time, input, output and ground truth of each sample."""
    digest, count = hashlib.sha256(), 0
    for number, time, *texts in samples:
        digest.update(canonical.encode_any([number, utc_text(time), *filter(None, texts)]) + b"\n")
        count += 1
    return Digest(digest.hexdigest(), count)


def digest_of_answers(answers: Iterable[tuple[int, str, Any]]) -> Digest:
    """Returns the digest of a labeling task: sample, annotator and answer, by sample and annotator."""
    parts = [list(answer) for answer in answers]
    return Digest(hashlib.sha256(canonical.encode_any(parts)).hexdigest(), len(parts))


def digest_of_evaluations(text: bytes) -> str:
    """Returns the digest of a run's evaluations."""
    return hashlib.sha256(text).hexdigest()
