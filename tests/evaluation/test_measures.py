"""Measures of classification, compared with sklearn's, and pictures of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.metrics.examples import Predicted, Truth
from jobledger.infra.evaluation.metrics.classification import (
    Bools,
    Floats,
    Scored,
    classification_evaluations,
)
from jobledger.infra.evaluation.metrics.evaluate import scored as scored_pairs
from jobledger.infra.evaluation.metrics.plots import (
    draw_confusion,
    draw_map_over_time,
    draw_pr_curve,
)

from tests.on_use import bench_of_evaluations, sklearn

Curve = dict[str, Any]
BEGIN = datetime(2020, 1, 1, 10, tzinfo=UTC)
POINTS = [(BEGIN + timedelta(days=day), 0.9 - day / 50) for day in range(9)]
MEASURES = ("precision", "recall", "f1Score")


def near(value: object) -> object:
    return pytest.approx(value, abs=1e-6)


def names(labels: int) -> list[str]:
    return [f"label {number}" for number in range(labels)]


def drawn(seed: int, examples: int, labels: int, missing: float = 0.0, ties: int = 0) -> Scored:
    """Several labels each; some scores are missing, or are rounded so that many are equal."""
    random = np.random.default_rng(seed)
    truth = random.random((examples, labels)) < 0.3
    scores = np.clip(0.3 * truth + 0.7 * random.random(truth.shape), 0, 1)
    if ties:
        scores = np.round(scores * ties) / ties
    scores[random.random(truth.shape) < missing] = np.nan
    return Scored(names(labels), truth, scores)


@pytest.fixture(scope="module")
def handwritten() -> Scored:
    """Sklearn's digits, as a logistic regression reads those that it has not seen."""
    pixels, read = sklearn("datasets").load_digits(return_X_y=True)
    seen, others, taught, truth = sklearn("model_selection").train_test_split(
        pixels / 16, read, random_state=0
    )
    model = sklearn("linear_model").LogisticRegression(max_iter=300).fit(seen, taught)
    return Scored(names(10), np.eye(10, dtype=np.bool_)[truth], model.predict_proba(others))


def filled(scores: Floats) -> Floats:
    """What sklearn takes: scores that are missing rank last, and are below every threshold."""
    return np.nan_to_num(scores, nan=-1.0)


def among(scores: Floats, most: int) -> Floats:
    """Only the best so many of each example, of equals the earlier; sorted the slow way."""
    kept = np.full_like(scores, -1.0)
    for row, line in enumerate(filled(scores)):
        for label in sorted(range(len(line)), key=lambda each: (-line[each], each))[:most]:
            kept[row, label] = line[label]
    return kept


def kinds(scores: Floats) -> Iterator[tuple[str, Floats]]:
    yield from (("", filled(scores)), ("At1", among(scores, 1)), ("At5", among(scores, 5)))


def curves_of(scored: Scored, *, multi_label: bool = True) -> list[Curve]:
    found = classification_evaluations(scored, multi_label=multi_label)
    assert orjson.loads(orjson.dumps(found)) == found
    assert "annotationSpec" not in found[0]["prCurve"]
    assert [each["prCurve"]["annotationSpec"] for each in found[1:]] == [
        {"displayName": label, "index": index} for index, label in enumerate(scored.labels)
    ]
    return [each["prCurve"] for each in found]


def assert_under_curves(scored: Scored, curves: Sequence[Curve]) -> None:
    truth, scores = scored.truth, filled(scored.scores)
    columns = [(truth.ravel(), scores.ravel()), *zip(truth.T, scores.T, strict=True)]
    averages = []
    for curve, (true, score) in zip(curves, columns, strict=True):
        if not true.any():
            assert curve["areaUnderCurve"] == curve["meanAveragePrecision"] == 0
            continue
        precision, recall, _ = sklearn("metrics").precision_recall_curve(true, score)
        assert curve["areaUnderCurve"] == near(sklearn("metrics").auc(recall, precision))
        if "annotationSpec" in curve:
            averages.append(sklearn("metrics").average_precision_score(true, score))
            assert curve["meanAveragePrecision"] == near(averages[-1])
    assert curves[0]["meanAveragePrecision"] == near(np.mean(averages) if averages else 0)


def assert_entries(scored: Scored, curves: Sequence[Curve], step: int = 4) -> None:
    """Every so many thresholds, all labels at once; there are two labels or more."""
    for suffix, scores in kinds(scored.scores):
        for number in range(0, 101, step):
            predicted = scores >= number / 100
            of_labels = sklearn("metrics").precision_recall_fscore_support(
                scored.truth, predicted, zero_division=0
            )
            of_all = sklearn("metrics").precision_recall_fscore_support(
                scored.truth, predicted, average="micro", zero_division=0
            )
            entries = [curve["confidenceMetricsEntries"][number] for curve in curves]
            for measure, all_, each in zip(MEASURES, of_all[:3], of_labels[:3], strict=True):
                found = [entry[measure + suffix] for entry in entries]
                assert found == near([all_, *each])
            assert {entry["confidenceThreshold"] for entry in entries} == {number / 100}
    assert {len(curve["confidenceMetricsEntries"]) for curve in curves} == {101}


@pytest.mark.slow
def test_digits_are_measured_as_sklearn_does(handwritten: Scored) -> None:
    curves = curves_of(handwritten, multi_label=False)
    assert_under_curves(handwritten, curves)
    assert_entries(handwritten, curves, step=1)
    assert curves[0]["meanAveragePrecision"] > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    "scored",
    [drawn(1, 200, 7), drawn(2, 200, 7, missing=0.5), drawn(3, 200, 12, ties=10),
     drawn(4, 50, 3, missing=0.9, ties=4), drawn(5, 1, 4), drawn(6, 200, 6, ties=1)],
)  # fmt: skip
def test_several_labels_are_measured_as_sklearn_does(scored: Scored) -> None:
    curves = curves_of(scored)
    assert_under_curves(scored, curves)
    assert_entries(scored, curves)


@pytest.mark.slow
def test_labels_that_are_never_true_or_never_predicted() -> None:
    scored = drawn(7, 100, 4)
    scored.truth[:, 1] = False
    scored.scores[:, 2] = np.nan
    curves = curves_of(scored)
    assert_under_curves(scored, curves)
    assert_entries(scored, curves)
    assert curves[2]["areaUnderCurve"] == 0
    assert not any(entry[m] for entry in curves[3]["confidenceMetricsEntries"] for m in MEASURES)


@pytest.mark.parametrize("multi_label", [True, False])
@pytest.mark.parametrize(("examples", "labels"), [(0, 0), (0, 3), (3, 0), (3, 2)])
def test_all_measures_are_zero_without_true_labels(
    examples: int, labels: int, multi_label: bool
) -> None:
    truth = np.zeros((examples, labels), np.bool_)
    for scores in (np.full(truth.shape, np.nan), np.full(truth.shape, 0.4)):
        scored = Scored(names(labels), truth, scores)
        found = classification_evaluations(scored, multi_label=multi_label)
        assert len(found) == 1 + labels
        for each in found:
            entries = each["prCurve"].pop("confidenceMetricsEntries")
            each["prCurve"].pop("annotationSpec", None)
            assert set(each["prCurve"].values()) == {0.0}
            assert not any(entry[m] for entry in entries for m in MEASURES)
        assert [row["entries"] for row in found[0]["confusionMatrix"]["row"]] == [[]] * labels


@pytest.mark.slow
def test_scores_need_not_be_probabilities_and_may_not_be_infinite() -> None:
    scored = drawn(8, 60, 6)
    scores = np.where(scored.scores < 0.2, np.nan, scored.scores * 8 - 4)
    logits = scored._replace(scores=scores)
    assert_under_curves(logits._replace(scores=np.nan_to_num(scores, nan=-9.0)), curves_of(logits))
    scores[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinite"):
        curves_of(logits)


def test_there_may_be_fewer_thresholds() -> None:
    scored = drawn(9, 80, 3)
    every = curves_of(scored)[0]["confidenceMetricsEntries"]
    few = classification_evaluations(scored, multi_label=True, entries=11)
    assert few[0]["prCurve"]["confidenceMetricsEntries"] == every[::10]


SCORES = st.one_of(
    st.integers(0, 100).map(lambda number: number / 100),
    st.floats(0, 1, allow_subnormal=False),
    st.just(float("nan")),
)


@st.composite
def small(draw: st.DrawFn) -> Scored:
    examples, labels = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    cells = examples * labels
    truth = draw(st.lists(st.booleans(), min_size=cells, max_size=cells))
    scores = draw(st.lists(SCORES, min_size=cells, max_size=cells))
    shape = (examples, labels)
    return Scored(names(labels), np.reshape(truth, shape), np.reshape(scores, shape))


@pytest.mark.slow
@given(small(), st.sets(st.integers(0, 100), min_size=1, max_size=2))
@settings(max_examples=20, deadline=None)
def test_small_cases_are_measured_as_sklearn_does(scored: Scored, numbers: set[int]) -> None:
    curves = curves_of(scored)
    assert_under_curves(scored, curves)
    for (suffix, scores), number in product(kinds(scored.scores), numbers):
        predicted = scores >= number / 100
        columns: list[tuple[Bools, Bools]] = [(scored.truth.ravel(), predicted.ravel())]
        columns += zip(scored.truth.T, predicted.T, strict=True)
        for curve, pair in zip(curves, columns, strict=True):
            entry = curve["confidenceMetricsEntries"][number]
            assert entry["precision" + suffix] == near(
                sklearn("metrics").precision_score(*pair, zero_division=0)
            )
            assert entry["recall" + suffix] == near(
                sklearn("metrics").recall_score(*pair, zero_division=0)
            )
            assert entry["f1Score" + suffix] == near(
                sklearn("metrics").f1_score(*pair, zero_division=0)
            )


def pairs_of(scored: Scored, *, multi_label: bool) -> Counter[tuple[str, str]]:
    """The confusion matrix' pairs of a true and a predicted label."""
    matrix = classification_evaluations(scored, multi_label=multi_label)[0]["confusionMatrix"]
    assert [row["annotationSpec"]["index"] for row in matrix["row"]] == [*range(len(scored.labels))]
    found = {
        (row["annotationSpec"]["displayName"], entry["annotationSpec"]["displayName"]): entry
        for row in matrix["row"]
        for entry in row["entries"]
    }
    assert all(entry["itemCount"] > 0 for entry in found.values())
    assert all(
        scored.labels[entry["annotationSpec"]["index"]] == expected
        for (_, expected), entry in found.items()
    )
    return Counter({pair: entry["itemCount"] for pair, entry in found.items()})


@pytest.mark.slow
def test_single_labels_are_confused_for_the_best_one(handwritten: Scored) -> None:
    scores = handwritten.scores.copy()
    scores[:9] = np.nan
    scores[9] = 0.1
    truth = handwritten.truth.copy()
    truth[10] = False
    labels = handwritten.labels
    expected = Counter(
        (labels[int(np.argmax(true))], labels[int(np.argmax(line))])
        for true, line in list(zip(truth, scores, strict=True))[9:]
        if true.any()
    )
    assert expected.total() == len(scores) - 10
    assert pairs_of(Scored(labels, truth, scores), multi_label=False) == expected


def test_several_labels_are_confused_in_pairs() -> None:
    scored = drawn(10, 150, 6, missing=0.2, ties=10)
    expected = Counter(
        (scored.labels[true], scored.labels[value])
        for row in range(150)
        for true, value in product(range(6), repeat=2)
        if scored.truth[row, true] and scored.scores[row, value] >= 0.5
    )
    assert pairs_of(scored, multi_label=True) == expected


def test_the_higher_score_of_a_repeated_label_counts() -> None:
    pairs = [(Predicted(["cat", "dog", "cat"], [0.9, 0.5, 0.1]), Truth(["cat"]))]
    assert scored_pairs(pairs, ["cat", "dog", "cow"]).scores.tolist()[0][:2] == [0.9, 0.5]
    curves = classification_evaluations(scored_pairs(pairs, ["cat", "dog"]), multi_label=False)
    [entry] = curves[0]["confusionMatrix"]["row"][0]["entries"]
    assert entry["annotationSpec"]["displayName"] == "cat"


def test_the_bench_measures_what_both_can() -> None:
    bench = bench_of_evaluations()
    scored = bench.digits(50)
    assert classification_evaluations(scored, multi_label=False)
    bench.measures_peer(scored, [bench.among_best(scored, count) for count in (1, 5)])


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "starts"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_pictures_are_the_same_each_time(tmp_path: Path, ending: str, starts: bytes) -> None:
    pytest.importorskip("matplotlib")
    found = classification_evaluations(bench_of_evaluations().digits(300), multi_label=False)
    file = tmp_path / f"x.{ending}"
    pictures = []
    for _ in range(2):
        draw_pr_curve(found, file)
        pictures.append(file.read_bytes())
        draw_confusion(found[0], file)
        pictures.append(file.read_bytes())
        draw_map_over_time(POINTS, 0.8, file)
        pictures.append(file.read_bytes())
    assert pictures[:3] == pictures[3:]
    assert len(set(pictures)) == 3
    assert all(picture.startswith(starts) for picture in pictures)


@pytest.mark.slow
def test_pictures_are_of_many_labels_odd_ones_and_none(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    wide = drawn(11, 200, 60)
    odd = ["$costs$ \u65e5\u672c", "a very long name " * 9, *wide.labels[2:]]
    many = classification_evaluations(wide._replace(labels=odd), multi_label=True)
    nothing = Scored([], np.zeros((0, 0), np.bool_), np.zeros((0, 0)))
    none = classification_evaluations(nothing, multi_label=True)
    for number, found in enumerate((many, none)):
        draw_pr_curve(found, tmp_path / f"curve{number}.svg")
        draw_confusion(found[0], tmp_path / f"matrix{number}.svg")
    draw_pr_curve([], tmp_path / "curve.svg")
    draw_map_over_time(POINTS[:1], None, tmp_path / "one.SVG")
    draw_map_over_time([], None, tmp_path / "none.svg")
    files = [*tmp_path.iterdir()]
    assert len(files) == 7
    assert all(file.read_bytes().startswith(b"<?xml") for file in files)


@pytest.mark.slow
def test_a_picture_needs_an_ending_and_a_folder(tmp_path: Path) -> None:
    for path, sentence in (
        (tmp_path / "x.gif", "end in .svg or .png"),
        (tmp_path / "none" / "x.png", "No such file"),
    ):
        with pytest.raises(InvalidFieldError, match=sentence):
            draw_map_over_time([], 0.5, path)
