"""Makes a run's Evaluations: predictions compared with ground truth, in the form of Data Labeling's API.

google.cloud.datalabeling.v1beta1.Evaluation: the first is over all labels, each further one is
about one label.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple

import numpy as np
import orjson
from jobledger.domain.job import Job
from jobledger.domain.metrics.evaluation import CONFIG, Plan, names_of, read_plan
from jobledger.domain.metrics.examples import Predicted, Truth, read_prediction
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.times import utc_text
from jobledger.infra.evaluation.metrics.boxes import Pictured, box_evaluations
from jobledger.infra.evaluation.metrics.classification import Scored, classification_evaluations
from jobledger.infra.evaluation.samples.of_run import Sample
from numpy.typing import NDArray


class Evaluated(NamedTuple):
    """The result of a run."""

    evaluations: list[JsonObject]
    """Evaluation messages."""
    items: int
    """Examples of which both prediction and truth are known."""
    mean_average_precision: float
    area_under_curve: float


def evaluate(
    job: Job,
    run: int,
    run_time: datetime,
    samples: Iterable[Sample],
    truths: Mapping[int, Truth],
    labels: Sequence[str] | None,
    create_time: str,
) -> Evaluated:
    """Evaluates the samples of a run whose ground truth is known.

    Args:
        job: The evaluation job.
        run: The number of the run.
        run_time: When the run began (UTC).
        samples: The samples of the run.
        truths: The ground truth by the number of the sample.
        labels: Those of the annotation spec set; None if it is not known. Other labels that occur
            follow in alphabetical order.
        create_time: The time to put into the evaluations, as RFC 3339.

    Returns:
        The evaluations, over all labels first.
    """
    plan = read_plan(job.spec)
    pairs = [
        (read_prediction(plan, orjson.loads(sample.raw_prediction)), truths[sample.number])
        for sample in samples
        if sample.number in truths
    ]
    found = _measured(plan, pairs, _all_labels(pairs, labels or ()))
    kind = "objectDetectionMetrics" if plan.boxes else "classificationMetrics"
    given = {
        "config": job.spec[CONFIG].get("evaluationConfig") or {},
        "evaluationJobRunTime": utc_text(run_time),
        "createTime": create_time,
        "annotationType": plan.annotation,
        "evaluatedItemCount": str(len(pairs)),
    }
    name = names_of(job.name, run).evaluation
    evaluations = [
        {
            "name": name if n == 0 else f"{name}_{n - 1}",
            **given,
            "evaluationMetrics": {kind: metrics},
        }
        for n, metrics in enumerate(found)
    ]
    curve = found[0]["prCurve"]
    return Evaluated(
        evaluations, len(pairs), curve["meanAveragePrecision"], curve["areaUnderCurve"]
    )


def _all_labels(pairs: Iterable[tuple[Predicted, Truth]], known: Sequence[str]) -> list[str]:
    met = set(chain.from_iterable(value.labels for pair in pairs for value in pair))
    return [*known, *sorted(met - set(known))]


def _measured(
    plan: Plan, pairs: Sequence[tuple[Predicted, Truth]], labels: Sequence[str]
) -> list[JsonObject]:
    if plan.boxes:
        pictured = [
            Pictured(truth.boxes, list(zip(predicted.boxes, predicted.scores, strict=True)))
            for predicted, truth in pairs
        ]
        return box_evaluations(pictured, labels, plan.iou_threshold)
    return classification_evaluations(scored(pairs, labels), multi_label=plan.multi_label)


def scored(pairs: Sequence[tuple[Predicted, Truth]], labels: Sequence[str]) -> Scored:
    """Predictions and truths as the matrices that measures are taken of; NaN where nothing was predicted."""
    truth = np.zeros((len(pairs), len(labels)), dtype=np.bool_)
    truth[_places([true.labels for _, true in pairs], labels)] = True
    scores = np.full((len(pairs), len(labels)), np.nan)
    given = chain.from_iterable(predicted.scores for predicted, _ in pairs)
    places = _places([predicted.labels for predicted, _ in pairs], labels)
    # Of a label that was predicted twice for an example, the higher score counts.
    np.fmax.at(scores, places, np.fromiter(given, float))
    return Scored(labels, truth, scores)


def _places(
    rows: Sequence[Sequence[str]], labels: Sequence[str]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row and column of each label in each row, all in one: a numpy call a row would take far longer."""
    column = {label: n for n, label in enumerate(labels)}
    counts = np.fromiter(map(len, rows), np.intp)
    columns = map(column.__getitem__, chain.from_iterable(rows))
    return np.repeat(np.arange(len(rows)), counts), np.fromiter(columns, np.intp)
