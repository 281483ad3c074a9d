"""How well boxes were predicted, as COCO measures it (pycocotools).

Shapes are those of Data Labeling v1beta1: the thresholds of such a `PrCurve` are of overlap.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from jobledger.domain.metrics.examples import Box
from jobledger.domain.values.canonical import JsonObject
from numpy.typing import NDArray
from pycocotools import coco, cocoeval

THRESHOLDS: Final = tuple(hundredths / 100 for hundredths in range(50, 100, 5))
"""COCO's, of intersection over union."""
MAX_DETECTIONS: Final = 100
"""The best predictions of a label in an image that COCO counts."""


class Pictured(NamedTuple):
    """The true boxes of one image, and the predicted ones with their scores."""

    truth: Sequence[Box]
    predicted: Sequence[tuple[Box, float]]


class _Matched(NamedTuple):
    """For one label, or all: how many predictions match a true box at each threshold."""

    hits: NDArray[np.int64]
    predicted: int
    true: int


def box_evaluations(
    pictures: Sequence[Pictured], labels: Sequence[str], iou_threshold: float
) -> list[JsonObject]:
    """Evaluates predicted boxes: over all labels first (`{"prCurve"}`), then for each label.

    An entry says at one threshold of overlap (`confidenceThreshold`; COCO's and the given one)
    how many of the predicted boxes match a true box of their own (precision) and how many of the
    true boxes are found (recall), 0 where there are none. The aggregate is over all labels' boxes.

    `areaUnderCurve` is COCO's average precision (at 101 recalls) at the given threshold; in the
    aggregate over all labels' predictions in one order. `meanAveragePrecision` of a label is the
    same, and in the aggregate the mean over the labels that have a true box: the others have
    nothing to recall. Boxes of labels that are not listed are left out.

    Args:
        pictures: The images with their true and predicted boxes.
        labels: The labels, in the order of the result.
        iou_threshold: The intersection over union from which boxes match, 0 to 1.

    Returns:
        The fields of Evaluation's metrics: of all labels, then of each label.
    """
    # A threshold that came as a 32-bit float differs slightly from COCO's.
    asked = round(iou_threshold, 6)
    thresholds = sorted({*THRESHOLDS, asked})
    place = thresholds.index(asked)
    evaluated = _evaluate(pictures, labels, thresholds)
    # COCOeval's matches come label after label.
    matches, images = evaluated.evalImgs, len(pictures)
    by_label = [
        _matched(matches[label * images : (label + 1) * images], len(thresholds))
        for label in range(len(labels))
    ]
    areas = _averages(evaluated, place, len(labels))
    area = _averages(_pool(evaluated), place, 1)[0]
    known = [area for area, matched in zip(areas, by_label, strict=True) if matched.true]
    mean = sum(known) / len(known) if known else 0.0
    return [
        {"prCurve": _curve(thresholds, _sum(by_label, len(thresholds)), area, mean)},
        *(
            {
                "prCurve": {"annotationSpec": {"displayName": label, "index": index}}
                | _curve(thresholds, matched, area, area)
            }
            for index, (label, matched, area) in enumerate(
                zip(labels, by_label, areas, strict=True)
            )
        ),
    ]


def _evaluate(
    pictures: Sequence[Pictured], labels: Sequence[str], thresholds: Sequence[float]
) -> Any:
    """A COCOeval that has matched, and summed up for each label."""
    evaluated = cocoeval.COCOeval(
        _dataset(([(box, 1.0) for box in picture.truth] for picture in pictures), labels),
        _dataset((picture.predicted for picture in pictures), labels),
        iouType="bbox",
    )
    params = evaluated.params
    params.imgIds = list(range(len(pictures)))
    params.catIds = list(range(len(labels)))
    params.iouThrs = np.array(thresholds)
    params.maxDets = [MAX_DETECTIONS]
    # No box is too small or too large to count.
    params.areaRng, params.areaRngLbl = [[0, float("inf")]], ["all"]
    evaluated.evaluate()
    evaluated.accumulate()
    return evaluated


def _dataset(boxes: Iterable[Sequence[tuple[Box, float]]], labels: Sequence[str]) -> Any:
    """A COCO of these images' boxes; images and labels have their places for ids."""
    places = {label: place for place, label in enumerate(labels)}
    found = [
        (image, places[box.label], *_extent(box), score)
        for image, value in enumerate(boxes)
        for box, score in value
        if box.label in places
    ]
    dataset = coco.COCO()
    dataset.dataset["annotations"] = [
        {
            "id": number,
            "image_id": image,
            "category_id": label,
            "bbox": [x, y, width, height],
            "area": width * height,
            "iscrowd": 0,
            "score": score,
        }
        # From 1: a match with 0 is none.
        for number, (image, label, x, y, width, height, score) in enumerate(found, 1)
    ]
    dataset.dataset["images"] = []
    dataset.dataset["categories"] = []
    dataset.createIndex()
    return dataset


def _extent(box: Box) -> tuple[float, float, float, float]:
    """Left, top, width and height, in either order of the corners."""
    (left, right), (top, bottom) = sorted((box.x0, box.x1)), sorted((box.y0, box.y1))
    return left, top, right - left, bottom - top


def _pool(evaluated: Any) -> Any:
    """Sums up the same matches as if there were one label only.

    COCOeval gets them as matches of further images, label after label. To match them again would
    take as long as all the rest, and COCOeval finds its matches by image.

    Args:
        evaluated: A COCOeval that has matched the boxes of each label.

    Returns:
        A COCOeval with one label.
    """
    pooled = cocoeval.COCOeval(iouType="bbox")
    params = pooled.params
    params.imgIds, params.catIds = list(range(len(evaluated.evalImgs))), [0]
    for kept in ("iouThrs", "maxDets", "areaRng", "areaRngLbl"):
        setattr(params, kept, getattr(evaluated.params, kept))
    pooled.evalImgs = evaluated.evalImgs
    pooled._paramsEval = params  # noqa: SLF001 - else it is set by `evaluate` alone
    pooled.accumulate()
    return pooled


def _averages(evaluated: Any, place: int, labels: int) -> list[float]:
    """COCO's average precision of each label at that threshold; 0 where it says that there is none."""
    precision = evaluated.eval["precision"][place, :, :, 0, 0]  # recalls x labels
    return [max(0.0, float(precision[:, label].mean())) for label in range(labels)]


def _matched(matches: Sequence[Any], thresholds: int) -> _Matched:
    """The matches of the images, or None if there are neither true nor predicted boxes."""
    some = [each for each in matches if each is not None]
    hits = np.zeros(thresholds, np.int64)
    for each in some:
        hits += np.count_nonzero(each["dtMatches"], axis=1)
    return _Matched(
        hits, sum(len(each["dtIds"]) for each in some), sum(len(each["gtIds"]) for each in some)
    )


def _sum(parts: Sequence[_Matched], thresholds: int) -> _Matched:
    hits = sum((each.hits for each in parts), np.zeros(thresholds, np.int64))
    return _Matched(hits, sum(each.predicted for each in parts), sum(each.true for each in parts))


def _curve(
    thresholds: Sequence[float], matched: _Matched, area: float, average: float
) -> JsonObject:
    return {
        "areaUnderCurve": area,
        "meanAveragePrecision": average,
        "confidenceMetricsEntries": [
            {
                "confidenceThreshold": threshold,
                "recall": hits / max(matched.true, 1),
                "precision": hits / max(matched.predicted, 1),
                "f1Score": 2 * hits / max(matched.true + matched.predicted, 1),
            }
            for threshold, hits in zip(thresholds, matched.hits.tolist(), strict=True)
        ],
    }


# It prints every step. To redirect stdout would silence other threads as well, and two that
# do so at a time may leave it redirected for good.
coco.print = cocoeval.print = lambda *_: None
