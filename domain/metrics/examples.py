"""Reads predictions and ground truths: finds their values in JSON by a job's import keys.

bigqueryImportKeys names the fields: `data_json_key` or `reference_json_key` in the input;
`label_json_key`, `label_score_json_key` and, for boxes, `bounding_box_json_key` in the output and
in the ground truth. A key may be a path (`image/bytes`). Boxes are `{"top_left": {"x": 0.1, "y":
0.2}, "bottom_right": {"x": 0.3, "y": 0.4}}`, in fractions of the image or in pixels, the same for
all of a job.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeGuard

import orjson
from jobledger.domain.metrics.evaluation import Plan
from jobledger.domain.values import canonical

MAX_BYTES: Final = 256 * 1024
"""The limit for a prediction's input, and for its output."""
_NUMBERS: Final = frozenset({int, float})
_TEXT: Final = frozenset({str})
MAX_LABELS: Final = 1_000
"""The limit for one prediction."""


class RejectedError(ValueError):
    """A prediction or ground truth was rejected; the message says why."""


class Box(NamedTuple):
    """A labeled rectangle on an image."""

    label: str
    x0: float
    y0: float
    x1: float
    y1: float


class Predicted(NamedTuple):
    """A model's output for one example."""

    labels: Sequence[str]
    scores: Sequence[float]
    boxes: Sequence[Box] = ()
    """One per label, for an image with boxes."""


class Truth(NamedTuple):
    """The ground truth of one example."""

    labels: Sequence[str]
    boxes: Sequence[Box] = ()


def example_key(plan: Plan, given: Any) -> str:
    """Returns the key of an example: its data, or the reference to its data.

    Args:
        plan: The job's plan.
        given: The prediction's input as JSON.

    Returns:
        The key.

    Raises:
        RejectedError: The input has neither of the job's keys.
    """
    for key in ("reference_json_key", "data_json_key"):
        if plan.keys.get(key):
            value = _found(given, plan.keys[key])
            if value is not None:
                return value if isinstance(value, str) else _key_text(value)
    wanted = plan.keys.get("data_json_key") or plan.keys.get("reference_json_key")
    raise RejectedError(f"the input has no {wanted!r}")


def _key_text(value: Any) -> str:
    """Returns a key that is no text; a number stays as it was sent, since 1.0 and 1 were always two keys."""
    if isinstance(value, float) and math.isfinite(value):
        return orjson.dumps(value).decode()
    return canonical.encode_any(value).decode()


def key_digest(key: str) -> bytes:
    """Returns the SHA-256 of the key in UTF-8, which identifies the sample."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def is_sampled(job: str, digest: bytes, fraction: float) -> bool:
    """Whether an example is sampled; the answer for an example of a job never changes.

    Args:
        job: The job's name.
        digest: The digest of the example's key.
        fraction: The fraction of all examples that is sampled.

    Returns:
        Whether the first 8 bytes of the SHA-256 of the job's name, a newline and the digest, as a
        fraction of 2^64, are below `fraction`.
    """
    if fraction >= 1:
        return True
    first = hashlib.sha256(job.encode() + b"\n" + digest).digest()[:8]
    return int.from_bytes(first, "big") < fraction * 2**64


def read_prediction(plan: Plan, value: Any) -> Predicted:
    """Parses a prediction's output; raises RejectedError with the missing key."""
    labels = _labels(_wanted(plan, value, "label_json_key", "output"))
    scores = _scores(_wanted(plan, value, "label_score_json_key", "output"))
    if len(labels) != len(scores):
        raise RejectedError(f"the output has {len(labels)} labels and {len(scores)} scores")
    if not plan.boxes:
        return Predicted(labels, scores)
    return Predicted(labels, scores, _boxes(plan, value, labels, "output"))


def read_truth(plan: Plan, value: Any) -> Truth:
    """Parses a ground truth: a label, a list of labels, or an object with the keys of an output."""
    if plan.boxes:
        labels = _labels(_wanted(plan, value, "label_json_key", "truth"))
        return Truth(labels, _boxes(plan, value, labels, "truth"))
    if isinstance(value, dict):
        value = _wanted(plan, value, "label_json_key", "truth")
    labels = list(dict.fromkeys(_labels(value)))
    if len(labels) != 1 and not plan.multi_label:
        raise RejectedError(f"the truth has {len(labels)} labels, and must have exactly one")
    return Truth(labels)


def check_labels(labels: Sequence[str], allowed: Sequence[str] | None) -> None:
    """Checks that the annotation spec set has the labels; None is an unknown set, which has all.

    Args:
        labels: The labels.
        allowed: The labels of the annotation spec set.

    Raises:
        RejectedError: A label is not in the set.
    """
    for label in labels:
        if allowed is not None and label not in allowed:
            raise RejectedError(f"the label {label[:80]!r} is not in the annotation spec set")


def _wanted(plan: Plan, given: Any, key: str, where: str) -> Any:
    if not plan.keys.get(key):
        raise RejectedError(f"the job's bigqueryImportKeys have no {key}")
    value = _found(given, plan.keys[key])
    if value is None:
        raise RejectedError(f"the {where} has no {plan.keys[key]!r}")
    return value


def _found(value: Any, key: str) -> Any:
    """Returns the value of a key, or at the end of a path of keys; None if there is none."""
    if isinstance(value, dict) and key in value:
        return value[key]
    for part in key.split("/"):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _labels(value: Any) -> list[str]:
    labels = value if isinstance(value, list) else [value]
    if len(labels) > MAX_LABELS:
        raise RejectedError(f"there are {len(labels)} labels, the limit is {MAX_LABELS}")
    if not _TEXT.issuperset(map(type, labels)) or not all(labels):
        wrong = next(label for label in labels if type(label) is not str or not label)
        raise RejectedError(f"the label {wrong!r:.80} is not a text of one character or more")
    return labels


def _scores(value: Any) -> list[float]:
    scores = value if isinstance(value, list) else [value]
    # Of just these types: True would be a number, too. And NaN lies between any two.
    numbers = _NUMBERS.issuperset(map(type, scores)) and math.isfinite(sum(scores))
    if not numbers or (scores and (min(scores) < 0 or max(scores) > 1)):
        wrong = next(each for each in scores if type(each) not in _NUMBERS or not 0 <= each <= 1)
        raise RejectedError(f"the score {wrong!r:.80} is not a number from 0 to 1")
    return scores


def _boxes(plan: Plan, given: Any, labels: Sequence[str], where: str) -> list[Box]:
    value = _wanted(plan, given, "bounding_box_json_key", where)
    boxes = value if isinstance(value, list) else [value]
    if len(boxes) != len(labels):
        raise RejectedError(f"the {where} has {len(labels)} labels and {len(boxes)} boxes")
    return [_box(label, box) for label, box in zip(labels, boxes, strict=True)]


def _box(label: str, value: Any) -> Box:
    places = [
        _place(value, corner, axis) for corner in ("top_left", "bottom_right") for axis in "xy"
    ]
    box = Box(label, *places)
    if box.x1 <= box.x0 or box.y1 <= box.y0:
        raise RejectedError("a box has no area")
    return box


def _place(value: Any, corner: str, axis: str) -> float:
    at = value.get(corner) if isinstance(value, dict) else None
    place = at.get(axis) if isinstance(at, dict) else None
    if not _is_number(place):
        raise RejectedError("a box is not {top_left: {x, y}, bottom_right: {x, y}}")
    return float(place)


def _is_number(value: Any) -> TypeGuard[float]:
    return type(value) in _NUMBERS and math.isfinite(value)
