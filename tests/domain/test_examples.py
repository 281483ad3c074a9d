"""Predictions and truths in JSON: values found by a job's keys, refusals, and sampled examples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobledger.domain.metrics.evaluation import Plan, read_plan
from jobledger.domain.metrics.examples import (
    MAX_LABELS,
    Box,
    Predicted,
    RejectedError,
    Truth,
    check_labels,
    example_key,
    is_sampled,
    key_digest,
    read_prediction,
    read_truth,
)
from jobledger.domain.metrics.showing import Display, show

from tests.evaluation_jobs import KEYS, TEXT, spec_of

JOB = "projects/p/evaluationJobs/7"
ONE, SEVERAL = read_plan(spec_of(TEXT)), read_plan(spec_of(TEXT, multi_label=True))
BOXED = read_plan(spec_of("IMAGE_BOUNDING_BOX_ANNOTATION"))
IMAGES = read_plan(spec_of("IMAGE_CLASSIFICATION_ANNOTATION"))
NO_BOX = "a box is not {top_left: {x, y}, bottom_right: {x, y}}"
NO_SCORE, NO_LABEL = "is not a number from 0 to 1", "is not a text of one character or more"


def corners(x0: Any, y0: Any, x1: Any, y1: Any) -> dict[str, Any]:
    return {"top_left": {"x": x0, "y": y0}, "bottom_right": {"x": x1, "y": y1}}


def keyed(**keys: str) -> Plan:
    return ONE._replace(keys=keys)


def test_labels_and_scores_are_read_one_or_many() -> None:
    for labels, scores in ((["cat"], [0]), (["cat", "dog"], [0.25, 1]), ([], [])):
        expected = {"label": labels, "score": scores}
        assert read_prediction(ONE, expected) == Predicted(labels, scores)
    assert read_prediction(ONE, {"label": "cat", "score": 1}) == Predicted(["cat"], [1])
    most = {"label": ["cat"] * MAX_LABELS, "score": [0.5] * MAX_LABELS}
    assert len(read_prediction(ONE, most).labels) == MAX_LABELS == 1_000
    deep = ONE._replace(keys=KEYS | {"label_json_key": "out/best/label", "score/x": ""})
    assert read_prediction(deep, {"out": {"best": {"label": "a"}}, "score": 0}).labels == ["a"]
    flat = {"out/best/label": "b", "out": {"best": {"label": "a"}}, "score": 0}
    assert read_prediction(deep, flat).labels == ["b"]


def test_boxes_are_read_one_a_label() -> None:
    expected = {
        "label": ["cat", "dog"],
        "score": [0.5, 0.5],
        "box": [corners(0, 1, 2, 3), corners(1, 1, 3, 9)],
    }
    boxes = [Box("cat", 0, 1, 2, 3), Box("dog", 1, 1, 3, 9)]
    assert read_prediction(BOXED, expected) == Predicted(["cat", "dog"], [0.5, 0.5], boxes)
    assert read_truth(BOXED, expected) == Truth(["cat", "dog"], boxes)
    assert read_truth(BOXED, {"label": "cat", "box": corners(0, 1, 2, 3)}).boxes == boxes[:1]
    assert type(read_truth(BOXED, expected).boxes[0].x0) is float


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"label": None}, "the output has no 'label'"),
        ({"score": None}, "the output has no 'score'"),
        ({"box": None}, "the output has no 'box'"),
        ({"label": ["cat", ""]}, NO_LABEL),
        ({"label": ["cat", 7]}, NO_LABEL),
        ({"label": ["x"] * 1_001}, "there are 1001 labels, the limit is 1000"),
        ({"score": [0.5, 0.5]}, "the output has 1 labels and 2 scores"),
        *(({"score": value}, NO_SCORE) for value in (-0.001, 1.001, "1", True, [None], [float("nan")])),
        ({"score": [float("inf")]}, NO_SCORE),
        ({"box": [corners(0, 0, 1, 1)] * 2}, "the output has 1 labels and 2 boxes"),
        ({"box": corners(1, 0, 1, 1)}, "a box has no area"),
        ({"box": corners(0, 1, 1, 1)}, "a box has no area"),
        ({"box": corners(2, 0, 1, 1)}, "a box has no area"),
        *(({"box": value}, NO_BOX) for value in (7, {}, {"top_left": 7}, corners("0", 0, 1, 1), corners(0, 0, True, 1))),
        ({"box": corners(0, 0, 1, float("inf"))}, NO_BOX),
    ],
)  # fmt: skip
def test_an_incomplete_prediction_is_refused_with_the_reason(
    change: dict[str, Any], why: str
) -> None:
    expected = {"label": ["cat"], "score": [0.5], "box": [corners(0, 0, 1, 1)]} | change
    with pytest.raises(RejectedError) as caught:
        read_prediction(BOXED, expected)
    assert str(caught.value).endswith(why)


def test_a_truth_is_a_label_or_several_once_each() -> None:
    for expected in ("cat", ["cat"], ["cat", "cat"], {"label": "cat"}):
        assert read_truth(ONE, expected) == Truth(["cat"])
    assert read_truth(SEVERAL, ["b", "a", "b"]) == Truth(["b", "a"])
    assert read_truth(SEVERAL, []) == Truth([])


@pytest.mark.parametrize(
    ("plan", "expected", "why"),
    [
        (ONE, ["cat", "dog"], "the truth has 2 labels, and must have exactly one"),
        (ONE, [], "the truth has 0 labels, and must have exactly one"),
        (ONE, {"other": 1}, "the truth has no 'label'"),
        (BOXED, {"box": []}, "the truth has no 'label'"),
        (BOXED, "cat", "the truth has no 'label'"),
        (BOXED, {"label": "cat"}, "the truth has no 'box'"),
        (BOXED, {"label": "cat", "box": []}, "the truth has 1 labels and 0 boxes"),
    ],
)
def test_an_incomplete_ground_truth_is_refused_with_the_reason(
    plan: Plan, expected: Any, why: str
) -> None:
    with pytest.raises(RejectedError) as caught:
        read_truth(plan, expected)
    assert str(caught.value).endswith(why)


@pytest.mark.parametrize(
    ("keys", "expected", "key"),
    [
        ({"data_json_key": "text"}, {"text": "hello"}, "hello"),
        ({"data_json_key": "text", "reference_json_key": "uri"}, {"text": "hello", "uri": "gs://b"}, "gs://b"),
        ({"data_json_key": "text", "reference_json_key": "uri"}, {"text": "hello"}, "hello"),
        ({"reference_json_key": "in/uri"}, {"in": {"uri": "gs://b"}}, "gs://b"),
        ({"data_json_key": "rows"}, {"rows": [{"b": 1, "a": 2}]}, '[{"a":2,"b":1}]'),
        ({"data_json_key": "n"}, {"n": 0}, "0"),
    ],
)  # fmt: skip
def test_examples_are_identified_by_their_reference_or_their_data(
    keys: dict[str, str], expected: Any, key: str
) -> None:
    assert example_key(keyed(**keys), expected) == key


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"data_json_key": "text"}, "'text'"),
        ({"reference_json_key": "uri"}, "'uri'"),
        ({"data_json_key": "text", "reference_json_key": "uri"}, "'text'"),
    ],
)
def test_an_input_without_its_keys_is_refused_with_their_names(
    keys: dict[str, str], wanted: str
) -> None:
    for expected in ({}, {"other": 1}, "text", {"text": None}, {"uri": None}):
        with pytest.raises(RejectedError) as caught:
            example_key(keyed(**keys), expected)
        assert str(caught.value) == f"the input has no {wanted}"


def test_digests_are_of_utf_8_whatever_the_text() -> None:
    assert key_digest("größe") == hashlib.sha256("größe".encode()).digest()
    assert key_digest("\ud800") == hashlib.sha256(b"\xed\xa0\x80").digest()


@given(st.text(max_size=20), st.floats(0, 1))
def test_an_example_is_sampled_by_its_hash(key: str, fraction: float) -> None:
    digest = key_digest(key)
    place = hashlib.sha256(JOB.encode() + b"\n" + digest).hexdigest()[:16]
    expected = int(place, 16) / 2**64 < fraction
    assert is_sampled(JOB, digest, fraction) == (expected or fraction == 1)


def test_all_examples_are_kept_or_none() -> None:
    digests = [key_digest(str(number)) for number in range(200)]
    assert all(is_sampled(JOB, digest, fraction) for digest in digests for fraction in (1, 1.5))
    assert not any(is_sampled(JOB, digest, 0) for digest in digests)
    assert 60 < sum(is_sampled(JOB, digest, 0.5) for digest in digests) < 140


def test_labels_are_those_of_the_set_if_one_is_known() -> None:
    check_labels(["cat"], ["cat", "dog"])
    check_labels(["cat"], None)
    check_labels([], [])
    for label, shown in (("bird", "bird"), ("x" * 81, "x" * 80)):
        with pytest.raises(RejectedError) as caught:
            check_labels(["cat", label], ["cat"])
        assert str(caught.value) == f"the label {shown!r} is not in the annotation spec set"


PNG = "iVBORw0KGgoAAAANSUhEUg=="


@pytest.mark.parametrize(
    ("plan", "expected", "shown"),
    [
        (ONE, {"text": "hello"}, Display("text", "hello")),
        (ONE, "plain", Display("text", "plain")),
        (ONE, {"b": 1, "a": 2}, Display("text", '{"a":2,"b":1}')),
        (keyed(reference_json_key="uri"), {"uri": "gs://b/x"}, Display("text", "gs://b/x")),
        (keyed(data_json_key="text", reference_json_key="uri"), {"uri": "gs://b/x"}, Display("text", "gs://b/x")),
        (IMAGES, {"text": {"b64": PNG}}, Display("image", f"data:image/png;base64,{PNG}")),
        (IMAGES, {"text": {"b64": 7}}, Display("text", '{"b64":7}')),
        (IMAGES, {"text": '{"broken'}, Display("text", '{"broken')),
        (IMAGES, {"text": "UklGRgAAAABXRUJQ"}, Display("image", "data:image/webp;base64,UklGRgAAAABXRUJQ")),
        (IMAGES, {"text": "UklGRgAAAABXQVZF"}, Display("text", "UklGRgAAAABXQVZF")),
        (IMAGES, {"text": "AAAAAAAAAABXRUJQ"}, Display("text", "AAAAAAAAAABXRUJQ")),
    ],
)  # fmt: skip
def test_people_see_the_text_or_the_image(plan: Plan, expected: Any, shown: Display) -> None:
    assert show(plan, expected) == shown


def raised(do: Callable[[], object]) -> bool:
    try:
        do()
    except RejectedError:
        return True
    return False


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=4))
def test_scores_are_from_0_to_1(scores: list[float]) -> None:
    expected = {"label": ["cat"] * len(scores), "score": scores}
    assert raised(lambda: read_prediction(ONE, expected)) == any(not 0 <= s <= 1 for s in scores)
