"""The agreement of several answers to one question, and the form in which an answer is stored.

An answer is stored as JSON that can be read without the job's import keys: a label (`"cat"`), a
sorted list of labels if several may be true, or a list of boxes, `{"label": "cat", "top_left":
{"x": 0.1, "y": 0.2}, "bottom_right": {"x": 0.3, "y": 0.4}}`. So its meaning does not change when
the job's import keys change.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from jobledger.domain.metrics.evaluation import Plan
from jobledger.domain.metrics.examples import Box, RejectedError, Truth, read_truth

SAME_BOX: Final = 0.5
"""Boxes of two people with at least this intersection over union are of the same thing."""
MAX_BOXES: Final = 100
"""The most boxes in one answer, which is also the most that are evaluated for one image."""


class Rule(NamedTuple):
    """How several answers become one ground truth."""

    aggregation: str
    """MAJORITY_VOTE, UNANIMOUS_VOTE or NO_AGGREGATION."""
    boxes: bool
    multi_label: bool


class Drawn(NamedTuple):
    """A box, and the index of its annotator's answer."""

    box: Box
    person: int


def read_answer(plan: Plan, value: Any) -> Truth:
    """Parses an answer, in the form of a ground truth or in the stored form; raises RejectedError."""
    if plan.boxes and isinstance(value, list):
        if not all(isinstance(box, dict) for box in value):
            raise RejectedError("a box is not {label, top_left: {x, y}, bottom_right: {x, y}}")
        labels = [box.get("label") for box in value]
        # However the job's keys lead to them: as keys without paths they are found just as well.
        plan = plan._replace(keys={"label_json_key": "label", "bounding_box_json_key": "box"})
        value = {"label": labels, "box": value}
    truth = read_truth(plan, value)
    if len(truth.boxes) > MAX_BOXES:
        raise RejectedError(f"there are {len(truth.boxes)} boxes, the limit is {MAX_BOXES}")
    return Truth(sorted(truth.labels), sorted(truth.boxes) or ())


def kept_answer(truth: Truth, *, boxes: bool, multi_label: bool) -> Any:
    """Returns the stored form of an answer; equal answers have equal forms."""
    if boxes:
        return [_box_json(box) for box in truth.boxes]
    return list(truth.labels) if multi_label else truth.labels[0]


def read_kept(value: Any) -> Truth:
    """Parses the stored form of an answer."""
    if isinstance(value, str):
        return Truth([value])
    boxes = [_box(each) for each in value if isinstance(each, dict)]
    return Truth([box.label for box in boxes], boxes) if boxes else Truth(list(value))


def agree(answers: Sequence[Truth], rule: Rule) -> Truth | None:
    """Returns the ground truth that answers agree on, or None if they do not agree.

    A majority is more than half of the answers. If several labels may be true, each label is voted
    on by itself. So is each box: a box that a majority drew is kept, at the mean of its corners.
    """
    if not answers:
        return None
    if len(answers) == 1 or rule.aggregation == "NO_AGGREGATION":
        return answers[0]
    unanimous = rule.aggregation == "UNANIMOUS_VOTE"
    if rule.boxes:
        return _agree_on_boxes(answers, unanimous=unanimous)
    if unanimous:
        same = len({frozenset(answer.labels) for answer in answers}) == 1
        return answers[0] if same else None
    return _majority(answers, multi_label=rule.multi_label)


def overlap(one: Box, other: Box) -> float:
    """Returns the intersection over union of two boxes, from 0 to 1."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(one) + _area(other) - shared)


def _majority(answers: Sequence[Truth], *, multi_label: bool) -> Truth | None:
    votes = Counter(label for answer in answers for label in set(answer.labels))
    won = sorted(label for label, count in votes.items() if count * 2 > len(answers))
    return Truth(won) if won or multi_label else None


def _agree_on_boxes(answers: Sequence[Truth], *, unanimous: bool) -> Truth | None:
    drawn = [Drawn(box, person) for person, value in enumerate(answers) for box in value.boxes]
    labels = sorted({each.box.label for each in drawn})
    things = [thing for label in labels for thing in _things(drawn, label)]
    if unanimous and any(len(thing) < len(answers) for thing in things):
        return None
    boxes = sorted(_mean(thing) for thing in things if len(thing) * 2 > len(answers))
    return Truth([box.label for box in boxes], boxes)


def _things(drawn: Sequence[Drawn], label: str) -> Iterator[list[Drawn]]:
    """Groups boxes of a label by the thing that they are drawn around.

    An annotator draws a thing once. The boxes that overlap most are grouped first, so the order of
    the answers does not matter.

    Args:
        drawn: The boxes of all annotators.
        label: The label of the boxes.

    Yields:
        The boxes of one thing.
    """
    of_label = sorted(each for each in drawn if each.box.label == label)
    thing_of = [[place] for place in range(len(of_label))]
    for _, a, b in sorted(_pairs(of_label)):
        into, other = thing_of[a], thing_of[b]
        people = {of_label[place].person for place in into}
        if people.isdisjoint(of_label[place].person for place in other):
            into += other
            for place in other:
                thing_of[place] = into
    for thing in {id(thing): thing for thing in thing_of}.values():
        yield [of_label[place] for place in thing]


def _pairs(drawn: Sequence[Drawn]) -> Iterator[tuple[float, int, int]]:
    """Yields pairs of boxes that may be of one thing, with minus their overlap.

    `drawn` is sorted: a box that begins right of another's middle covers less than half of it, and
    so do all boxes after it.
    """
    for a, (one, person) in enumerate(drawn):
        middle = (one.x0 + one.x1) / 2
        for b in range(a + 1, len(drawn)):
            other, another = drawn[b]
            if other.x0 > middle:
                break
            if person != another and (shared := overlap(one, other)) >= SAME_BOX:
                yield -shared, a, b


def _mean(thing: Sequence[Drawn]) -> Box:
    corners = zip(*(each.box[1:] for each in thing), strict=True)
    return Box(thing[0].box.label, *(sum(places) / len(thing) for places in corners))


def _area(box: Box) -> float:
    return (box.x1 - box.x0) * (box.y1 - box.y0)


def _box_json(box: Box) -> dict[str, Any]:
    return {
        "label": box.label,
        "top_left": {"x": box.x0, "y": box.y0},
        "bottom_right": {"x": box.x1, "y": box.y1},
    }


def _box(fields: Mapping[str, Any]) -> Box:
    corners = (fields["top_left"], fields["bottom_right"])
    return Box(fields["label"], *(float(corner[axis]) for corner in corners for axis in "xy"))
