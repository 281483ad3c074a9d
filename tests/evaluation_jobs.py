"""Evaluation jobs for tests: their bodies, predictions, and a scheduler with a clock of its own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from jobledger.infra import Ledger
from jobledger.infra.evaluation.samples.outcomes import Prediction

CONFIG = "evaluationJobConfig"
TEXT = "TEXT_CLASSIFICATION_ANNOTATION"
TYPES = {
    TEXT: "TEXT",
    "GENERAL_CLASSIFICATION_ANNOTATION": "GENERAL_DATA",
    "IMAGE_CLASSIFICATION_ANNOTATION": "IMAGE",
    "IMAGE_BOUNDING_BOX_ANNOTATION": "IMAGE",
}
KEYS = {"data_json_key": "text", "label_json_key": "label", "label_score_json_key": "score"}
_ids = count(1)
BEGIN = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)


class Clock:
    """A clock that tests move."""

    def __init__(self, now: datetime = BEGIN) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now


def spec_of(
    annotation: str = TEXT,
    *,
    people: bool = False,
    multi_label: bool = False,
    replicas: int = 1,
    example_count: int = 1_000,
    fraction: float = 1.0,
    schedule: str = "every 24 hours",
    alert: dict[str, Any] | None = None,
    spec_set: str = "projects/p/annotationSpecSets/1",
    **config: Any,
) -> dict[str, Any]:
    """The EvaluationJob message of a whole job."""
    boxes = annotation == "IMAGE_BOUNDING_BOX_ANNOTATION"
    inputs: dict[str, Any] = {
        "dataType": TYPES[annotation],
        "annotationType": annotation,
        "bigquerySource": {"inputUri": "bq://p/d/t"},
    }
    keys = dict(KEYS)
    if boxes:
        keys["bounding_box_json_key"] = "box"
    else:
        inputs["classificationMetadata"] = {"isMultiLabel": multi_label}
    made: dict[str, Any] = {
        "inputConfig": inputs,
        "evaluationConfig": {"boundingBoxEvaluationOptions": {"iouThreshold": 0.5}}
        if boxes
        else {},
        "bigqueryImportKeys": keys,
        "exampleCount": example_count,
        "exampleSamplePercentage": fraction,
        **config,
    }
    if people:
        made["humanAnnotationConfig"] = {
            "instruction": "projects/p/instructions/1",
            "annotatedDatasetDisplayName": "truth",
            "replicaCount": replicas,
        }
    if alert is not None:
        made["evaluationJobAlertConfig"] = alert
    return {
        "description": "how good it is",
        "schedule": schedule,
        "modelVersion": f"projects/q/models/m/versions/v{next(_ids)}",
        "annotationSpecSet": spec_set,
        "labelMissingGroundTruth": people,
        CONFIG: made,
    }


def make_job(ledger: Ledger, spec: dict[str, Any], project: str = "p", at: datetime = BEGIN) -> str:
    """Makes the job, as of that time; returns its name."""
    name = f"projects/{project}/evaluationJobs/{next(_ids)}"
    return ledger.create(name, {}, spec, occurred_time=at).name


def predictions_of(
    texts: Iterable[str], *, label: str = "cat", truth: Any = None
) -> list[Prediction]:
    """Predictions of texts, all of the same label with the score 0.9."""
    output = {"label": label, "score": 0.9}
    return [Prediction({"text": text}, output, BEGIN, truth=truth) for text in texts]
