"""The plan of an evaluation job, read from its spec: google.cloud.datalabeling.v1beta1.EvaluationJob.

A job without an inputConfig is stored as it is, and can neither sample nor run: `read_plan` says why.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError, shown
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import project_of

CONFIG: Final = "evaluationJobConfig"
BOXES: Final = "IMAGE_BOUNDING_BOX_ANNOTATION"
ANNOTATIONS: Final = {
    "IMAGE_CLASSIFICATION_ANNOTATION": "IMAGE",
    BOXES: "IMAGE",
    "TEXT_CLASSIFICATION_ANNOTATION": "TEXT",
    "GENERAL_CLASSIFICATION_ANNOTATION": "GENERAL_DATA",
}
"""The annotation types that can be evaluated, each with its dataType."""
COCO_IOU: Final = 0.5
MAX_WHOLE: Final = 2**31 - 1
_OBJECT: Final = (dict,)
_TEXT: Final = (str,)
_WHOLE: Final = (int,)
_NUMBER: Final = (int, float)
_WORDS: Final = {
    _OBJECT: "an object",
    _TEXT: "a string",
    _WHOLE: "a whole number",
    _NUMBER: "a number",
}
_BOX_OPTIONS: Final = (CONFIG, "evaluationConfig", "boundingBoxEvaluationOptions")
_TYPES: Final[dict[tuple[str, ...], tuple[type, ...]]] = {
    ("modelVersion",): _TEXT,
    ("annotationSpecSet",): _TEXT,
    (CONFIG,): _OBJECT,
    (CONFIG, "inputConfig"): _OBJECT,
    (CONFIG, "inputConfig", "annotationType"): _TEXT,
    (CONFIG, "inputConfig", "classificationMetadata"): _OBJECT,
    (CONFIG, "bigqueryImportKeys"): _OBJECT,
    (CONFIG, "exampleCount"): _WHOLE,
    (CONFIG, "exampleSamplePercentage"): _NUMBER,
    (CONFIG, "humanAnnotationConfig"): _OBJECT,
    (CONFIG, "humanAnnotationConfig", "instruction"): _TEXT,
    (CONFIG, "humanAnnotationConfig", "replicaCount"): _WHOLE,
    (CONFIG, "imageClassificationConfig"): _OBJECT,
    (CONFIG, "imageClassificationConfig", "answerAggregationType"): _TEXT,
    (CONFIG, "textClassificationConfig"): _OBJECT,
    (CONFIG, "textClassificationConfig", "answerAggregationType"): _TEXT,
    (CONFIG, "evaluationJobAlertConfig"): _OBJECT,
    (CONFIG, "evaluationJobAlertConfig", "minAcceptableMeanAveragePrecision"): _NUMBER,
    (CONFIG, "evaluationJobAlertConfig", "email"): _TEXT,
    _BOX_OPTIONS[:2]: _OBJECT,
    _BOX_OPTIONS: _OBJECT,
    (*_BOX_OPTIONS, "iouThreshold"): _NUMBER,
}
"""The types of the values of a plan, an object before its fields."""
MODEL_VERSION: Final = re.compile(r"projects/[^/]+/models/([^/]+)/versions/([^/]+)")


class Plan(NamedTuple):
    """How a job samples, labels and evaluates."""

    model: str
    model_version: str
    annotation: str
    """A key of ANNOTATIONS."""
    multi_label: bool
    keys: Mapping[str, str]
    """bigqueryImportKeys: the fields of a prediction's JSON."""
    example_count: int
    """The most samples in one interval (exampleCount)."""
    fraction: float
    """The share of predictions that is sampled, 0 to 1 (exampleSamplePercentage)."""
    by_people: bool
    """labelMissingGroundTruth: human labelers answer for examples without ground truth."""
    instruction: str
    replica_count: int
    aggregation: str
    spec_set: str
    iou_threshold: float
    min_precision: float
    """evaluationJobAlertConfig.minAcceptableMeanAveragePrecision; 0: no alert."""
    email: str

    @property
    def boxes(self) -> bool:
        """Whether boxes are drawn on images; otherwise examples have labels."""
        return self.annotation == BOXES


def read_plan(spec: JsonObject) -> Plan:
    """Reads the plan of a job from its spec.

    Args:
        spec: The job's spec, an EvaluationJob as JSON. `check_job` need not have accepted it, as
            jobs may be created without Data Labeling's API.

    Returns:
        The plan.

    Raises:
        InvalidFieldError: The spec has no inputConfig, or a value that no plan can have.
    """
    _check_types(spec)
    config = spec.get(CONFIG) or {}
    given = config.get("inputConfig") or {}
    if "annotationType" not in given:
        raise InvalidFieldError(
            f"{CONFIG}.inputConfig", "is missing; without it the job cannot sample predictions"
        )
    _check_keys(config.get("bigqueryImportKeys") or {})
    match = MODEL_VERSION.fullmatch(spec.get("modelVersion") or "")
    model, version = match.groups() if match else ("", "")
    human = config.get("humanAnnotationConfig") or {}
    labeled = (
        config.get("imageClassificationConfig") or config.get("textClassificationConfig") or {}
    )
    alert = config.get("evaluationJobAlertConfig") or {}
    boxed = (config.get("evaluationConfig") or {}).get("boundingBoxEvaluationOptions") or {}
    return Plan(
        model=model,
        model_version=version,
        annotation=given["annotationType"],
        multi_label=bool((given.get("classificationMetadata") or {}).get("isMultiLabel")),
        keys=config.get("bigqueryImportKeys") or {},
        example_count=config.get("exampleCount") or 0,
        fraction=config.get("exampleSamplePercentage") or 0.0,
        by_people=bool(spec.get("labelMissingGroundTruth")),
        instruction=human.get("instruction") or "",
        replica_count=human.get("replicaCount") or 1,
        aggregation=labeled.get("answerAggregationType") or "MAJORITY_VOTE",
        spec_set=spec.get("annotationSpecSet") or "",
        iou_threshold=boxed.get("iouThreshold") or COCO_IOU,
        min_precision=alert.get("minAcceptableMeanAveragePrecision") or 0.0,
        email=alert.get("email") or "",
    )


def _check_types(spec: JsonObject) -> None:
    """Raises InvalidFieldError for the first value of a plan that has the wrong type, or is too large."""
    for path, kinds in _TYPES.items():
        value: Any = spec
        for part in path:
            value = None if value is None else value.get(part)
        if value is not None and type(value) not in kinds:
            refuse(".".join(path), f"must be {_WORDS[kinds]}, not {shown(value)}")
        if kinds == _WHOLE and value is not None and abs(value) > MAX_WHOLE:
            refuse(".".join(path), f"{value} is too large; the limit is {MAX_WHOLE}")


def _check_keys(keys: JsonObject) -> None:
    """Raises InvalidFieldError for a key that is no name of a field of predictions."""
    for key, value in keys.items():
        if type(value) is not str:
            field = f"{CONFIG}.bigqueryImportKeys.{key[:80]}"
            refuse(field, f"must be a string, not {shown(value)}")


class Names(NamedTuple):
    """The names of a run's dataset and evaluations."""

    dataset: str
    evaluation: str
    """The name of the evaluation over all labels; that of a label has its index appended."""


def names_of(job: str, run: int) -> Names:
    """Derives the names from the job's name and the run's number, so that they are always the same."""
    made = f"{job.rpartition('/')[2]}_{run}"
    dataset = f"projects/{project_of(job)}/datasets/{made}"
    return Names(dataset, f"{dataset}/evaluations/{made}")


def refuse(field: str, why: str) -> None:
    """Raises InvalidFieldError about a field of the request."""
    raise InvalidFieldError(field, why)
