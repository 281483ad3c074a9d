"""Data Labeling v1beta1 ExampleComparisons: the ground truth of an example and a model's prediction for it.

An Example has no scores. If a model must choose one label, it is the one with the highest
score (the first of equals). If it may choose several, they are those with at least 0.5, as in confusion
matrices. All boxes that it drew are included.
"""

from collections.abc import Iterable, Iterator, Mapping
from mimetypes import guess_type
from typing import Any, Final, NamedTuple

import orjson
from jobledger.domain.job import Job
from jobledger.domain.metrics import examples
from jobledger.domain.metrics.evaluation import ANNOTATIONS, Plan, read_plan
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.evaluation.samples.of_run import Sample, run_samples
from jobledger.infra.evaluation.tasks.ground_truth import run_truths
from jobledger.infra.google.wire.resources import bare
from jobledger.infra.postgres.connections import reading_again, translated
from jobledger.infra.read.reader import Reader

CERTAIN: Final = 0.5
"""The same threshold as in infra/evaluation/metrics/classification.py, which needs numpy."""
BY_PEOPLE: Final = "OPERATOR"
"""Annotation.annotationSource."""


class Run(NamedTuple):
    """A run of a job."""

    job: str
    number: int
    dataset: str


class Compared(NamedTuple):
    """A sample and its ground truth."""

    sample: Sample
    truth: examples.Truth


def read_comparisons(
    reader: Reader, run: Run, after: int, size: int
) -> tuple[list[JsonObject], int | None]:
    """Returns ExampleComparisons of samples after a number, and the last sample's number if there are more."""
    job = reader.read_current(run.job)  # The evaluations of a deleted job are kept.
    assert job is not None
    compared = _read(reader, job, run.number, after, size + 1)
    plan = read_plan(job.spec)
    shown = [_comparison(plan, run.dataset, one) for one in compared[:size]]
    return shown, compared[size - 1].sample.number if len(compared) > size else None


@reading_again
def _read(reader: Reader, job: Job, run: int, after: int, limit: int) -> list[Compared]:
    with translated(), reader.pool.connection() as connection:
        truths = run_truths(connection, job, run)
        numbers = sorted(number for number in truths if number > after)[:limit]
        if not numbers:
            return []
        return [
            Compared(sample, truths[sample.number])
            for sample in run_samples(connection, job.name, numbers[0], numbers[-1])
            if sample.number in truths
        ]


def _comparison(plan: Plan, dataset: str, compared: Compared) -> JsonObject:
    sample, truth = compared
    predicted = examples.read_prediction(plan, orjson.loads(sample.raw_prediction))
    example = {
        "name": f"{dataset}/examples/{sample.number}",
        **_payload(plan, orjson.loads(sample.raw_data)),
    }
    boxes = [*truth.boxes, *predicted.boxes]
    in_pixels = any(place > 1 for box in boxes for place in box[1:])
    source = {"annotationSource": BY_PEOPLE} if sample.groundtruth is None else {}
    true = [{**source, **one} for one in _annotations(plan, truth, in_pixels=in_pixels)]
    chosen = _chosen(plan, predicted)
    annotations = [*_annotations(plan, chosen, in_pixels=in_pixels)]
    return {
        "groundTruthExample": bare({**example, "annotations": true}),
        "modelCreatedExamples": [bare({**example, "annotations": annotations})],
    }


def _chosen(plan: Plan, predicted: examples.Predicted) -> examples.Truth:
    """Returns a model's prediction as annotations."""
    scored = list(zip(predicted.labels, predicted.scores, strict=True))
    if plan.boxes:
        return examples.Truth(predicted.labels, predicted.boxes)
    if plan.multi_label:
        return examples.Truth([label for label, score in scored if score >= CERTAIN])
    return examples.Truth([max(scored, key=lambda one: one[1])[0]] if scored else [])


def _payload(plan: Plan, given: Any) -> JsonObject:
    """Returns the example itself. The API has no payload for general data, so it is text, or JSON if it is not a string."""
    data = _said(plan, "data_json_key", given)
    reference = _said(plan, "reference_json_key", given)
    if ANNOTATIONS[plan.annotation] != "IMAGE":
        return {"textPayload": bare({"textContent": reference if data is None else data})}
    mime = guess_type(reference)[0] if reference else None
    return {"imagePayload": bare({"mimeType": mime, "imageUri": reference})}


def _said(plan: Plan, key: str, given: Any) -> str | None:
    """Returns the value of one of the plan's keys, as text."""
    try:
        return examples.example_key(plan._replace(keys={key: plan.keys.get(key, "")}), given)
    except examples.RejectedError:
        return None


def _annotations(plan: Plan, truth: examples.Truth, *, in_pixels: bool) -> Iterator[JsonObject]:
    """Returns Annotation messages, one for each box or label."""
    if plan.boxes:
        values: Iterable[Mapping[str, Any]] = (
            {"imageBoundingPolyAnnotation": {**_spec(box.label), **_poly(box, in_pixels=in_pixels)}}
            for box in truth.boxes
        )
    else:
        image = ANNOTATIONS[plan.annotation] == "IMAGE"
        field = "imageClassificationAnnotation" if image else "textClassificationAnnotation"
        values = ({field: _spec(label)} for label in truth.labels)
    return ({"annotationValue": value} for value in values)


def _spec(label: str) -> JsonObject:
    return {"annotationSpec": {"displayName": label}}


def _poly(box: examples.Box, *, in_pixels: bool) -> JsonObject:
    """Returns the four corners of a box, clockwise from the top left one."""
    corners = [(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)]
    if in_pixels:
        vertices = [{"x": round(x), "y": round(y)} for x, y in corners]
        return {"boundingPoly": {"vertices": vertices}}
    places = [{"x": x, "y": y} for x, y in corners]
    return {"normalizedBoundingPoly": {"normalizedVertices": places}}
