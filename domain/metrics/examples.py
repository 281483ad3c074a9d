"""What one prediction, and what is said to be true of it, mean: found in their JSON by a job's import keys.

bigqueryImportKeys names the fields: `data_json_key` or `reference_json_key` in the input;
`label_json_key`, `label_score_json_key` and, for boxes, `bounding_box_json_key` in the output and in
the truth. A key may be a path (`image/bytes`). Boxes are
`{"top_left": {"x": 0.1, "y": 0.2}, "bottom_right": {"x": 0.3, "y": 0.4}}`, in parts of the image or
in pixels, for whole jobs alike.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeGuard

from jobledger.domain.metrics.evaluation import Plan
from jobledger.domain.values import canonical

MAX_BYTES: Final = 256 * 1024
"""Of one prediction's input, and of its output."""
_NUMBERS: Final = frozenset({int, float})
_TEXT: Final = frozenset({str})
MAX_LABELS: Final = 1_000
"""In one prediction."""


class SpoiltError(ValueError):
    """The JSON of a prediction, or of a truth, does not say what it has to; its text says why."""


class Box(NamedTuple):
    """A labelled rectangle on an image."""

    label: str
    x0: float
    y0: float
    x1: float
    y1: float


class Predicted(NamedTuple):
    """What a model said of one example."""

    labels: Sequence[str]
    scores: Sequence[float]
    boxes: Sequence[Box] = ()
    """One a label, if boxes are asked for."""


class Truth(NamedTuple):
    """What is true of one example."""

    labels: Sequence[str]
    boxes: Sequence[Box] = ()


def example_key(plan: Plan, given: Any) -> str:
    """What tells an example from others: the data it is made of, or the reference to that."""
    for key in ("reference_json_key", "data_json_key"):
        if plan.keys.get(key):
            value = _found(given, plan.keys[key])
            if value is not None:
                return value if isinstance(value, str) else canonical.encode_any(value).decode()
    wanted = plan.keys.get("data_json_key") or plan.keys.get("reference_json_key")
    raise SpoiltError(f"the input has no {wanted!r}")


def key_digest(key: str) -> bytes:
    """SHA-256 of the key in UTF-8, by which samples are told apart."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def is_sampled(job: str, digest: bytes, fraction: float) -> bool:
    """Whether an example is one of those that are kept: of the same example always the same.

    The first 8 bytes of the SHA-256 of the job's name, a newline, and the key's digest, as a
    fraction of 2^64, are below `fraction`.
    """
    if fraction >= 1:
        return True
    first = hashlib.sha256(job.encode() + b"\n" + digest).digest()[:8]
    return int.from_bytes(first, "big") < fraction * 2**64


def read_prediction(plan: Plan, said: Any) -> Predicted:
    """What the output says; raises SpoiltError with the key it lacks."""
    labels = _labels(_wanted(plan, said, "label_json_key", "output"))
    scores = _scores(_wanted(plan, said, "label_score_json_key", "output"))
    if len(labels) != len(scores):
        raise SpoiltError(f"the output has {len(labels)} labels and {len(scores)} scores")
    if not plan.boxes:
        return Predicted(labels, scores)
    return Predicted(labels, scores, _boxes(plan, said, labels, "output"))


def read_truth(plan: Plan, said: Any) -> Truth:
    """What is true, as it was told: a label, a list of labels, or an object with the keys of an output."""
    if plan.boxes:
        labels = _labels(_wanted(plan, said, "label_json_key", "truth"))
        return Truth(labels, _boxes(plan, said, labels, "truth"))
    if isinstance(said, dict):
        said = _wanted(plan, said, "label_json_key", "truth")
    labels = list(dict.fromkeys(_labels(said)))
    if len(labels) != 1 and not plan.multi_label:
        raise SpoiltError(f"the truth has {len(labels)} labels, and one of them is true")
    return Truth(labels)


def check_labels(labels: Sequence[str], allowed: Sequence[str] | None) -> None:
    """Raises SpoiltError for labels outside the annotation spec set; None: no set is known."""
    for label in labels:
        if allowed is not None and label not in allowed:
            raise SpoiltError(f"the label {label[:80]!r} is not in the annotation spec set")


def _wanted(plan: Plan, said: Any, key: str, where: str) -> Any:
    value = _found(said, plan.keys[key])
    if value is None:
        raise SpoiltError(f"the {where} has no {plan.keys[key]!r}")
    return value


def _found(said: Any, key: str) -> Any:
    """The value of a key, or at the end of a path of keys; None if there is none."""
    if isinstance(said, dict) and key in said:
        return said[key]
    for part in key.split("/"):
        if not isinstance(said, dict):
            return None
        said = said.get(part)
    return said


def _labels(value: Any) -> list[str]:
    labels = value if isinstance(value, list) else [value]
    if len(labels) > MAX_LABELS:
        raise SpoiltError(f"there are {len(labels)} labels, and {MAX_LABELS} is the most")
    if not _TEXT.issuperset(map(type, labels)) or not all(labels):
        raise SpoiltError("a label is no text")
    return labels


def _scores(value: Any) -> list[float]:
    scores = value if isinstance(value, list) else [value]
    # Of just these types: True would be a number, too. And NaN lies between any two.
    numbers = _NUMBERS.issuperset(map(type, scores)) and math.isfinite(sum(scores))
    if not numbers or (scores and (min(scores) < 0 or max(scores) > 1)):
        raise SpoiltError("a score is no number from 0 to 1")
    return scores


def _boxes(plan: Plan, said: Any, labels: Sequence[str], where: str) -> list[Box]:
    value = _wanted(plan, said, "bounding_box_json_key", where)
    boxes = value if isinstance(value, list) else [value]
    if len(boxes) != len(labels):
        raise SpoiltError(f"the {where} has {len(labels)} labels and {len(boxes)} boxes")
    return [_box(label, box) for label, box in zip(labels, boxes, strict=True)]


def _box(label: str, said: Any) -> Box:
    places = [
        _place(said, corner, axis) for corner in ("top_left", "bottom_right") for axis in "xy"
    ]
    box = Box(label, *places)
    if box.x1 <= box.x0 or box.y1 <= box.y0:
        raise SpoiltError("a box has no area")
    return box


def _place(said: Any, corner: str, axis: str) -> float:
    at = said.get(corner) if isinstance(said, dict) else None
    place = at.get(axis) if isinstance(at, dict) else None
    if not _is_number(place):
        raise SpoiltError("a box is no {top_left: {x, y}, bottom_right: {x, y}}")
    return float(place)


def _is_number(value: Any) -> TypeGuard[float]:
    return type(value) in _NUMBERS and math.isfinite(value)
