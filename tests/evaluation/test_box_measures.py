"""Measures of boxes, compared with pycocotools'."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from jobledger.domain.metrics.examples import Box
from jobledger.infra.evaluation.metrics.boxes import THRESHOLDS, Pictured, box_evaluations
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

LABELS = ["cat", "dog", "owl"]


def near(value: object) -> object:
    return pytest.approx(value, abs=1e-6)


def drawn(seed: int, images: int = 25, size: tuple[float, float] = (1.0, 1.0)) -> list[Pictured]:
    """Boxes that are found, more or less, others that are not there, and labels mistaken."""
    random = np.random.default_rng(seed)

    def box(label: str, left: float, top: float, width: float, height: float) -> Box:
        across, down = size
        return Box(label, left * across, top * down, (left + width) * across, (top + height) * down)

    pictures = []
    for _ in range(images):
        truth, predicted = list[Box](), list[tuple[Box, float]]()
        for _ in range(random.integers(0, 6)):
            label = str(random.choice(LABELS[: 2 + seed % 2]))
            place = random.uniform(0.05, 0.5, 4)
            truth.append(box(label, *place))
            for _ in range(random.integers(0, 3)):
                expected = label if random.random() < 0.8 else str(random.choice(LABELS))
                shifted = place * random.normal(1, 0.08, 4)
                # Some scores are equal.
                predicted.append((box(expected, *shifted), round(float(random.random()), 1)))
        for _ in range(random.integers(0, 3)):
            place = random.uniform(0.0, 0.5, 4)
            predicted.append((box(str(random.choice(LABELS)), *place), float(random.random())))
        pictures.append(Pictured(truth, predicted))
    return pictures


def coco_eval(
    pictures: Sequence[Pictured], thresholds: Sequence[float], *, one_label: bool = False
) -> Any:
    """By way of `loadRes`, with all of COCO's own parameters but the thresholds."""
    images = len(pictures)

    def entry(image: int, box: Box) -> dict[str, Any]:
        label = LABELS.index(box.label)
        # Where there is to be one label only, each label has pictures of its own.
        at, of = (label * images + image, 1) if one_label else (image, label + 1)
        width, height = box.x1 - box.x0, box.y1 - box.y0
        return {"image_id": at, "category_id": of, "bbox": [box.x0, box.y0, width, height],
                "area": width * height, "iscrowd": 0}  # fmt: skip

    truths = [entry(image, box) for image, each in enumerate(pictures) for box in each.truth]
    results = [
        entry(image, box) | {"score": score}
        for image, each in enumerate(pictures)
        for box, score in each.predicted
    ]
    truth = COCO()
    truth.dataset = {
        "images": [{"id": number} for number in range(images * (len(LABELS) if one_label else 1))],
        "categories": [{"id": 1 + number} for number in range(1 if one_label else len(LABELS))],
        "annotations": [each | {"id": 7 + number} for number, each in enumerate(truths)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = COCOeval(truth, truth.loadRes(results), "bbox")
        found.params.iouThrs = np.array(thresholds)
        found.evaluate()
        found.accumulate()
    return found.eval


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [(1.0, 1.0), (640.0, 480.0)])
@pytest.mark.parametrize("asked", [0.5, 0.75, 0.42])
def test_boxes_are_measured_as_coco_does(
    seed: int, size: tuple[float, float], asked: float
) -> None:
    pictures = drawn(seed, size=size)
    thresholds = sorted({*THRESHOLDS, asked})
    place = thresholds.index(asked)
    by_label = coco_eval(pictures, thresholds)
    pooled = coco_eval(pictures, thresholds, one_label=True)
    found = [each["prCurve"] for each in box_evaluations(pictures, LABELS, asked)]
    assert orjson.loads(orjson.dumps(found)) == found

    # Precision and recall over thresholds (T), recalls (R), labels (K), areas, most predictions.
    averages = by_label["precision"][place, :, :, 0, -1].mean(axis=0)
    recalls = by_label["recall"][:, :, 0, -1]
    true = [sum(box.label == label for each in pictures for box in each.truth) for label in LABELS]
    body = [
        sum(box.label == label for each in pictures for box, _ in each.predicted)
        for label in LABELS
    ]
    for number, (curve, label) in enumerate(zip(found[1:], LABELS, strict=True)):
        assert curve["annotationSpec"] == {"displayName": label, "index": number}
        area = averages[number] if true[number] else 0
        assert curve["areaUnderCurve"] == curve["meanAveragePrecision"] == near(area)
        assert_entries(
            curve, thresholds, recalls[:, number] * true[number], body[number], true[number]
        )
    hits = np.maximum(recalls, 0) @ np.array(true)
    assert_entries(found[0], thresholds, hits, sum(body), sum(true))
    assert "annotationSpec" not in found[0]
    assert found[0]["meanAveragePrecision"] == near(averages[averages > -1].mean())
    assert found[0]["areaUnderCurve"] == near(pooled["precision"][place, :, 0, 0, -1].mean())
    assert 0.02 < found[0]["areaUnderCurve"] < 0.98


def assert_entries(
    curve: dict[str, Any], thresholds: Sequence[float], hits: Any, expected: int, true: int
) -> None:
    entries = curve["confidenceMetricsEntries"]
    assert [entry["confidenceThreshold"] for entry in entries] == thresholds
    hits = hits if true else np.zeros(len(thresholds))
    assert [entry["recall"] for entry in entries] == near(list(hits / max(true, 1)))
    assert [entry["precision"] for entry in entries] == near(list(hits / max(expected, 1)))
    assert [entry["f1Score"] for entry in entries] == near(list(2 * hits / max(expected + true, 1)))


def test_parts_and_pixels_are_measured_the_same() -> None:
    tiny, large = drawn(3, size=(1e-6, 1e-6)), drawn(3, size=(1e7, 1e7))
    of_tiny, of_large = (box_evaluations(each, LABELS, 0.5) for each in (tiny, large))
    assert orjson.dumps(of_tiny) == orjson.dumps(of_large)
    assert of_tiny[0]["prCurve"]["areaUnderCurve"] > 0


def test_boxes_are_counted_by_hand() -> None:
    """Of four predictions two have a true box of their own at 0.5, and one of these at 0.75."""
    cat, half = Box("cat", 0, 0, 10, 10), Box("cat", 20, 0, 30, 10)
    picture = Pictured(
        [cat, half],
        [(Box("cat", 10, 10, 0, 0), 0.9), (cat, 0.8), (half._replace(y1=6), 0.7),
         (Box("dog", 0, 0, 10, 10), 0.6)],
    )  # fmt: skip
    aggregate, cats, dogs = (
        each["prCurve"] for each in box_evaluations([picture], ["cat", "dog"], 0.8999999761581421)
    )
    entries = {e.pop("confidenceThreshold"): e for e in aggregate["confidenceMetricsEntries"]}
    assert list(entries) == list(THRESHOLDS)
    assert entries[0.5] == {"recall": 1.0, "precision": 0.5, "f1Score": near(4 / 6)}
    assert entries[0.75] == {"recall": 0.5, "precision": 0.25, "f1Score": near(2 / 6)}
    assert cats["confidenceMetricsEntries"][0]["precision"] == near(2 / 3)
    # All of the first half of the recalls 0, 0.01 .. 1 are reached with nothing false.
    assert aggregate["meanAveragePrecision"] == cats["areaUnderCurve"] == near(51 / 101)
    assert dogs["meanAveragePrecision"] == 0


BOX = Box("cat", 0, 0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("pictures", "labels"),
    [
        ([], []),
        ([], LABELS),
        ([Pictured([], [])], []),
        ([Pictured([], [])], LABELS),
        ([Pictured([BOX], []), Pictured([], [])], LABELS),
        ([Pictured([], [(BOX, 0.5)])], LABELS),
        ([Pictured([BOX], [(BOX, 0.5)])], []),
        ([Pictured([BOX], [(BOX, 0.5)])], ["dog"]),
        ([Pictured([BOX], []), Pictured([], [(BOX, 0.5)])], LABELS),
        ([Pictured([BOX._replace(x1=0)], [(BOX._replace(x1=0), 0.5)])], LABELS),
    ],
)
@pytest.mark.parametrize("asked", [0.5, 1.0])
def test_all_measures_are_zero_without_detections(
    pictures: list[Pictured], labels: list[str], asked: float
) -> None:
    found = box_evaluations(pictures, labels, asked)
    assert len(found) == 1 + len(labels)
    for each in found:
        entries = each["prCurve"].pop("confidenceMetricsEntries")
        each["prCurve"].pop("annotationSpec", None)
        assert set(each["prCurve"].values()) == {0.0}
        assert not any(
            e[measure] for e in entries for measure in ("recall", "precision", "f1Score")
        )


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    box_evaluations(drawn(1, 3), LABELS, 0.5)
    assert capfd.readouterr() == ("", "")


def test_only_the_best_hundred_of_an_image_count() -> None:
    wrong = [(BOX._replace(x0=0.6, x1=0.7), 0.9)] * 100
    picture = Pictured([BOX], [(BOX, 0.5), *wrong])
    entry = box_evaluations([picture], ["cat"], 0.5)[0]["prCurve"]["confidenceMetricsEntries"][0]
    assert entry == {"confidenceThreshold": 0.5, "recall": 0, "precision": 0, "f1Score": 0}
