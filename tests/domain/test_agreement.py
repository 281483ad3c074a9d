"""Agreement of several annotators: on labels, on several labels, and on boxes."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobledger.domain.metrics.agreement import (
    Rule,
    agree,
    kept_answer,
    overlap,
    read_answer,
    read_kept,
)
from jobledger.domain.metrics.evaluation import read_plan
from jobledger.domain.metrics.examples import Box, RejectedError, Truth

from tests.evaluation_jobs import TEXT, spec_of
from tests.labeling import BOXES, box

MAJORITY, UNANIMOUS, FIRST = "MAJORITY_VOTE", "UNANIMOUS_VOTE", "NO_AGGREGATION"


def labelled(*labels: str) -> Truth:
    return Truth(list(labels))


def drawn(*boxes: Box) -> Truth:
    return Truth([each.label for each in boxes], list(boxes))


def at(x: float, y: float = 0.1, label: str = "cat", size: float = 0.2) -> Box:
    return Box(label, x, y, x + size, y + size)


@pytest.mark.parametrize(
    ("answers", "aggregation", "expected"),
    [
        (["cat"], MAJORITY, "cat"),
        (["cat", "dog", "cat"], MAJORITY, "cat"),
        (["cat", "dog"], MAJORITY, None),
        (["cat", "cat", "dog", "dog"], MAJORITY, None),
        (["cat", "dog", "bird"], MAJORITY, None),
        (["dog", "dog", "dog"], UNANIMOUS, "dog"),
        (["dog", "dog", "cat"], UNANIMOUS, None),
        (["dog", "cat", "cat"], FIRST, "dog"),
        ([], FIRST, None),
        ([], MAJORITY, None),
    ],
)
def test_one_label(answers: list[str], aggregation: str, expected: str | None) -> None:
    found = agree(
        [labelled(label) for label in answers], Rule(aggregation, boxes=False, multi_label=False)
    )
    assert found == (None if expected is None else labelled(expected))


@pytest.mark.parametrize(
    ("answers", "aggregation", "expected"),
    [
        (["ab", "ac", "a"], MAJORITY, "a"),
        (["ab", "ba", "c"], MAJORITY, "ab"),
        (["a", "b", "c"], MAJORITY, ""),
        (["", "", "a"], MAJORITY, ""),
        (["ab", "ba"], UNANIMOUS, "ab"),
        (["ab", "a"], UNANIMOUS, None),
        (["", ""], UNANIMOUS, ""),
    ],
)
def test_several_labels_are_voted_on_one_by_one(
    answers: list[str], aggregation: str, expected: str | None
) -> None:
    found = agree(
        [labelled(*labels) for labels in answers], Rule(aggregation, boxes=False, multi_label=True)
    )
    assert found == (None if expected is None else labelled(*expected))


BOXED = Rule(MAJORITY, boxes=True, multi_label=False)


def test_boxes_that_most_people_drew_are_there_at_the_mean_of_their_corners() -> None:
    answers = [
        drawn(at(0.10), at(0.6, label="dog")),
        drawn(at(0.12), at(0.7, 0.7)),
        drawn(at(0.14), at(0.6, label="cat")),
    ]
    found = agree(answers, BOXED)
    assert found is not None
    [one] = found.boxes
    assert one == pytest.approx(at(0.12), abs=1e-9) or one[1:] == pytest.approx(at(0.12)[1:])
    assert (one.label, found.labels) == ("cat", ["cat"])


def test_the_order_of_people_does_not_matter_to_boxes() -> None:
    answers = [drawn(at(0.1), at(0.16)), drawn(at(0.13)), drawn(at(0.11), at(0.2))]
    found = [agree(order, BOXED) for order in permutations(answers)]
    corners = [[pytest.approx(each[1:]) for each in one.boxes] for one in found if one]
    assert all(each == [box[1:] for box in found[0].boxes] for each in corners)  # type: ignore[union-attr]


def test_one_person_draws_a_thing_once_and_two_of_theirs_are_two_things() -> None:
    twice = drawn(at(0.1), at(0.1))
    found = agree([twice, drawn(at(0.1)), drawn(at(0.1))], BOXED)
    assert found is not None
    assert len(found.boxes) == 1
    found = agree([twice, twice, twice], BOXED)
    assert found is not None
    assert len(found.boxes) == 2


def test_boxes_need_all_annotators_where_agreement_must_be_unanimous() -> None:
    rule = BOXED._replace(aggregation=UNANIMOUS)
    assert agree([drawn(at(0.1)), drawn(at(0.12))], rule) is not None
    assert agree([drawn(at(0.1)), drawn(at(0.12), at(0.6))], rule) is None
    assert agree([drawn(), drawn()], rule) == drawn()
    assert agree([drawn(), drawn(at(0.1)), drawn()], BOXED) == drawn()


def test_half_of_two_boxes_is_enough_and_less_is_not() -> None:
    assert overlap(Box("a", 0, 0, 1, 1), Box("a", 0, 0, 0.5, 1)) == 0.5
    assert overlap(Box("a", 0, 0, 1, 1), Box("a", 1, 0, 2, 1)) == 0.0
    for width, together in ((0.5, 1), (0.49, 0)):
        answers = [drawn(Box("a", 0, 0, 1, 1)), drawn(Box("a", 0, 0, width, 1))]
        found = agree(answers, BOXED)
        assert found is not None
        assert len(found.boxes) == together


places = st.floats(0, 0.7)
some_boxes = st.lists(st.builds(at, places, places, st.sampled_from("ab")), max_size=6)


@pytest.mark.slow
@given(st.lists(some_boxes, min_size=2, max_size=5))
def test_no_more_boxes_are_agreed_on_than_most_people_drew(answers: list[list[Box]]) -> None:
    found = agree([drawn(*boxes) for boxes in answers], BOXED)
    assert found is not None
    assert len(found.boxes) * (len(answers) // 2 + 1) <= sum(map(len, answers))


@pytest.mark.parametrize(
    ("annotation", "multi_label", "expected", "kept"),
    [
        (TEXT, False, "cat", "cat"),
        (TEXT, False, ["cat"], "cat"),
        (TEXT, False, {"label": "cat"}, "cat"),
        (TEXT, True, ["dog", "cat", "dog"], ["cat", "dog"]),
        (TEXT, True, [], []),
        (BOXES, False, [], []),
        (BOXES, False, [box("dog", 0, 0, 1, 1), box("cat", 0.1, 0.1, 0.2, 0.2)],
         [box("cat", 0.1, 0.1, 0.2, 0.2), box("dog", 0, 0, 1, 1)]),
        (BOXES, False, {"label": ["cat"], "box": [{"top_left": {"x": 0, "y": 0}, "bottom_right": {"x": 1, "y": 2}}]},
         [box("cat", 0, 0, 1, 2)]),
    ],
)  # fmt: skip
def test_a_stored_answer_is_read_back_unchanged(
    annotation: str, multi_label: bool, expected: Any, kept: Any
) -> None:
    plan = read_plan(spec_of(annotation, multi_label=multi_label))
    truth = read_answer(plan, expected)
    assert kept_answer(truth, boxes=plan.boxes, multi_label=multi_label) == kept
    assert read_kept(kept) == truth


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (TEXT, ["cat", "dog"]),
        (TEXT, []),
        (TEXT, 7),
        (TEXT, {"lable": "cat"}),
        (TEXT, None),
        (BOXES, "cat"),
        (BOXES, ["cat"]),
        (BOXES, [box("", 0, 0, 1, 1)]),
        (BOXES, [box("cat", 1, 0, 0, 1)]),
        (BOXES, [{"label": "cat"}]),
        (BOXES, [{"top_left": {"x": 0, "y": 0}, "bottom_right": {"x": 1, "y": 1}}]),
        (BOXES, [box("cat", 0, 0, 1, float("inf"))]),
    ],
)
def test_an_invalid_answer_is_refused(annotation: str, expected: Any) -> None:
    with pytest.raises(RejectedError):
        read_answer(read_plan(spec_of(annotation)), expected)


def test_an_invalid_box_is_refused_with_the_reason() -> None:
    plan = read_plan(spec_of(BOXES))
    for expected in ([7], [box("cat", 0.1, 0.1, 0.2, 0.2), "cat"]):
        with pytest.raises(RejectedError) as caught:
            read_answer(plan, expected)
        assert str(caught.value) == "a box is not {label, top_left: {x, y}, bottom_right: {x, y}}"
    most = [box("cat", number / 200, 0, 1, 1) for number in range(100)]
    assert len(read_answer(plan, most).boxes) == 100
    with pytest.raises(RejectedError) as caught:
        read_answer(plan, [*most, box("cat", 0.9, 0, 1, 1)])
    assert str(caught.value) == "there are 101 boxes, the limit is 100"


SIDES = st.integers(0, 6)


@given(SIDES, SIDES, SIDES, SIDES, st.integers(1, 5), st.integers(1, 5))
def test_overlap_is_the_shared_part_of_what_both_cover(
    x: int, y: int, other_x: int, other_y: int, size: int, other_size: int
) -> None:
    one, other = at(x, y, size=size), at(other_x, other_y, size=other_size)
    fields = {(a, b) for a in range(x, x + size) for b in range(y, y + size)}
    others = {
        (a, b)
        for a in range(other_x, other_x + other_size)
        for b in range(other_y, other_y + other_size)
    }
    assert overlap(one, other) == len(fields & others) / len(fields | others)


def test_things_far_apart_are_each_agreed_on() -> None:
    places = [(0.1, 0.12), (0.4, 0.42), (0.7, 0.72)]
    answers = [drawn(*(at(pair[person]) for pair in places)) for person in (0, 1)]
    found = agree(answers, BOXED)
    assert found is not None
    assert [round(each.x0, 6) for each in found.boxes] == [0.11, 0.41, 0.71]


def test_of_two_boxes_the_one_that_overlaps_more_is_of_the_same_thing() -> None:
    for others in ((0.51, 0.56), (0.56, 0.51)):
        found = agree([drawn(at(0.5)), drawn(*map(at, others))], BOXED)
        assert found is not None
        assert [round(each.x0, 6) for each in found.boxes] == [0.505]


def test_a_box_that_begins_at_the_middle_of_another_may_be_half_of_it() -> None:
    whole, half = Box("cat", 0, 0, 4, 1), Box("cat", 2, 0, 4, 1)
    assert agree([drawn(whole), drawn(half)], BOXED) == drawn(Box("cat", 1, 0, 4, 1))


def test_boxes_agree_though_other_boxes_are_between_them() -> None:
    first, between = Box("cat", 0, 0, 4, 4), Box("cat", 0.125, 20, 4.125, 24)
    same, far = Box("cat", 0.25, 0, 4.25, 4), Box("cat", 50, 0, 54, 4)
    found = agree([drawn(first, between), drawn(same, far)], BOXED)
    assert found == drawn(Box("cat", 0.125, 0, 4.125, 4))
