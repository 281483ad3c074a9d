"""How well labels were predicted: curves of precision and recall, and confusion matrices.

The JSON is that of Data Labeling v1beta1 (`PrCurve`, `ConfusionMatrix`), and the numbers equal those
of scikit-learn. The area under a curve and the average precision are computed from the same arrays of
one call. Scikit-learn takes a second of CPU to load, so it is loaded when something is measured.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from jobledger.domain.values.canonical import JsonObject
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Bools = NDArray[np.bool_]

THRESHOLDS: Final = 101
"""0.00, 0.01 .. 1.00."""
TOP_FIVE: Final = 5
CERTAIN: Final = 0.5
"""The lowest score with which a confusion matrix of several labels counts a label as predicted."""


class Scored(NamedTuple):
    """Predictions and truth of n examples over k labels."""

    labels: Sequence[str]
    """The labels in the annotation spec set's order, then other labels that occur."""
    truth: Bools
    """n x k."""
    scores: Floats
    """n x k, finite; NaN where a label was not predicted, which is so at every threshold."""


class _Found(NamedTuple):
    """At each threshold (k x thresholds, or thresholds): pairs predicted, and those also true."""

    predicted: Counts
    hits: Counts


def classification_evaluations(
    scored: Scored, *, multi_label: bool, entries: int = THRESHOLDS
) -> list[JsonObject]:
    """Evaluates predicted labels: over all labels first (`{"prCurve", "confusionMatrix"}`), then for each (`{"prCurve"}`).

    A label's curve names it (`annotationSpec`: `displayName` and `index`); the aggregate's names
    none, and is over all pairs of an example and a label (the micro average).

    - A label is predicted at a threshold if its score is no less. At 1 and at 5, only the best 1
      and 5 labels of each example are predicted (of equal scores the earlier label).
    - Precision is 0 where nothing is predicted, recall where nothing is true, f1 where neither is.
    - `areaUnderCurve` is the area under scikit-learn's curve by trapezoids, and 0 where nothing is
      true. A missing score ranks below all others.
    - `meanAveragePrecision` of a label is scikit-learn's average precision. In the aggregate it is
      the mean over the labels that are true of some example: for others recall is undefined.

    The confusion matrix has a row for each label. With single labels, an example counts once, under
    its true and its best label, and not at all if it has neither. With several, each pair of a true
    label and a label predicted with at least 0.5 counts. Entries of 0 are left out.

    Args:
        scored: The true labels and the scores of each example.
        multi_label: Whether an example may have several labels.
        entries: How many thresholds a curve has.

    Returns:
        The fields of Evaluation's metrics, of plain ints, floats and strings.

    Raises:
        ValueError: A score is infinite.
    """
    if np.isinf(scored.scores).any():
        raise ValueError("a score is infinite; scores are numbers from 0 to 1")
    thresholds = np.arange(entries) / (entries - 1)
    scores = np.where(np.isnan(scored.scores), -np.inf, scored.scores)
    by_label = _by_label(thresholds, scored.truth, scores)
    ranked = _ranked(scores)
    curves, mean = _label_curves(scored, thresholds, by_label, ranked)
    over_all = [_Found(each.predicted.sum(axis=0), each.hits.sum(axis=0)) for each in by_label]
    area, _ = _under_curve(scored.truth.ravel(), ranked.ravel())
    rows = _entries(thresholds, over_all, int(np.count_nonzero(scored.truth)))
    matrix = _pairs(scored.truth, scores) if multi_label else _best_pairs(scored.truth, scores)
    return [
        {"prCurve": _curve(area, mean, rows), "confusionMatrix": _matrix(scored.labels, matrix)},
        *({"prCurve": curve} for curve in curves),
    ]


def _by_label(thresholds: Floats, truth: Bools, scores: Floats) -> list[_Found]:
    """The predictions of each label: if all labels of an example count, its best one, its best five."""
    # Stable: of equals the earlier label.
    best = np.argsort(-scores, axis=1, kind="stable")[:, :TOP_FIVE]
    all_labels = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return [_found(thresholds, truth, scores, labels) for labels in (all_labels, best[:, :1], best)]


def _label_curves(
    scored: Scored, thresholds: Floats, by_label: Sequence[_Found], ranked: Floats
) -> tuple[list[JsonObject], float]:
    """The curve of each label, and the mean average precision of those that are true of an example."""
    curves = list[JsonObject]()
    precisions = list[float]()
    for index, true in enumerate(np.count_nonzero(scored.truth, axis=0).tolist()):
        area, precision = _under_curve(scored.truth[:, index], ranked[:, index])
        found = [_Found(each.predicted[index], each.hits[index]) for each in by_label]
        rows = _entries(thresholds, found, true)
        spec = _spec(scored.labels, index)
        curves.append({"annotationSpec": spec} | _curve(area, precision, rows))
        if true:
            precisions.append(precision)
    return curves, sum(precisions) / len(precisions) if precisions else 0.0


def _found(thresholds: Floats, truth: Bools, scores: Floats, labels: Counts) -> _Found:
    """The predictions if each example is limited to these labels (n x any)."""
    count, width = len(thresholds) + 1, scores.shape[1]
    reached = np.searchsorted(thresholds, np.take_along_axis(scores, labels, axis=1), side="right")
    # Each label has a range of numbers of its own, so that one count covers all labels.
    cells = reached + labels * count
    predicted = np.bincount(cells.ravel(), minlength=width * count)
    hits = np.bincount(cells[np.take_along_axis(truth, labels, axis=1)], minlength=width * count)
    return _Found(
        _from_each_on(predicted.reshape(width, count)), _from_each_on(hits.reshape(width, count))
    )


def _from_each_on(counts: Counts) -> Counts:
    """Turns counts by the number of thresholds reached into counts that reach each threshold."""
    sums: Counts = counts[:, :0:-1].cumsum(axis=1)[:, ::-1]
    return sums


def _entries(thresholds: Floats, found: Sequence[_Found], true: int) -> list[JsonObject]:
    """One entry for each threshold; `found` is among all labels, the best one, and the best five."""
    columns = {"confidenceThreshold": thresholds.tolist()}
    for suffix, (predicted, hits) in zip(("", "At1", "At5"), found, strict=True):
        columns["recall" + suffix] = _ratio(hits, np.full_like(hits, true))
        columns["precision" + suffix] = _ratio(hits, predicted)
        columns["f1Score" + suffix] = _ratio(2 * hits, predicted + true)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _ratio(part: Counts, whole: Counts) -> list[float]:
    """Returns part / whole, and 0 where the whole is 0."""
    ratios: list[float] = (part / np.maximum(whole, 1)).tolist()
    return ratios


def _ranked(scores: Floats) -> Floats:
    """Replaces -inf by a finite score below all others, because sklearn refuses infinite scores."""
    missing = np.isneginf(scores)
    if not missing.any():
        return scores
    lowest = scores.min(where=~missing, initial=0.0)
    return np.where(missing, lowest - abs(lowest) - 1, scores)


def _under_curve(true: Bools, scores: Floats) -> tuple[float, float]:
    """The area under the curve, and the average precision, both as sklearn computes them."""
    if not true.any():  # Sklearn would return a recall of 1.
        return 0.0, 0.0
    from sklearn.metrics import auc, precision_recall_curve

    precision, recall, _ = precision_recall_curve(true, scores)
    average = -np.sum(np.diff(recall) * precision[:-1])
    return float(auc(recall, precision)), max(0.0, float(average))


def _best_pairs(truth: Bools, scores: Floats) -> Counts:
    """K x k: examples by their true and their best label."""
    labels = range(truth.shape[1])
    some = truth.any(axis=1) & np.isfinite(scores).any(axis=1)
    if len(labels) < 2 or not some.any():  # Sklearn would warn of either.
        return np.full((len(labels), len(labels)), np.count_nonzero(some))
    true, best = truth[some].argmax(axis=1), scores[some].argmax(axis=1)
    from sklearn.metrics import confusion_matrix

    matrix: Counts = confusion_matrix(true, best, labels=labels)
    return matrix


def _pairs(truth: Bools, scores: Floats) -> Counts:
    """K x k: examples by each of their true labels and each that was predicted."""
    # As floats, which are exact up to 2^53 and multiplied many at a time.
    predicted = (scores >= CERTAIN).astype(np.float64)
    return (truth.T.astype(np.float64) @ predicted).astype(np.int64)


def _matrix(labels: Sequence[str], counts: Counts) -> JsonObject:
    return {
        "row": [
            {
                "annotationSpec": _spec(labels, true),
                "entries": [
                    {"annotationSpec": _spec(labels, value), "itemCount": int(row[value])}
                    for value in np.flatnonzero(row).tolist()
                ],
            }
            for true, row in enumerate(counts)
        ]
    }


def _curve(area: float, average: float, entries: list[JsonObject]) -> JsonObject:
    return {
        "areaUnderCurve": area,
        "meanAveragePrecision": average,
        "confidenceMetricsEntries": entries,
    }


def _spec(labels: Sequence[str], index: int) -> JsonObject:
    return {"displayName": labels[index], "index": index}
