"""The plan of an evaluation job, read from its spec: google.cloud.datalabeling.v1beta1.EvaluationJob.

The limits are those of the API's reference. A job without an inputConfig is stored as it is, and
can neither sample nor run: `read_plan` says why.
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
MAX_DESCRIPTION: Final = 25_000
MAX_INPUT_URI: Final = 2_000
MAX_DISPLAY_NAME: Final = 64
MAX_ANNOTATED_DESCRIPTION: Final = 10_000
IMAGE_REPLICAS: Final = (1, 3, 5)
MAX_REPLICAS: Final = 100
MAX_QUESTION_SECONDS: Final = 3_600
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
_MODEL_VERSION: Final = re.compile(r"projects/[^/]+/models/([^/]+)/versions/([^/]+)")
_BIGQUERY: Final = re.compile(r"bq://[^/\s]+(/[^/\s]+){0,2}")
_LABEL_GROUP: Final = re.compile(r"[a-zA-Z\d_-]{0,128}", re.ASCII)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


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
    match = _MODEL_VERSION.fullmatch(spec.get("modelVersion") or "")
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
            _refuse(".".join(path), f"must be {_WORDS[kinds]}, not {shown(value)}")
        if kinds == _WHOLE and value is not None and abs(value) > MAX_WHOLE:
            _refuse(".".join(path), f"{value} is too large; the limit is {MAX_WHOLE}")


def _check_keys(keys: JsonObject) -> None:
    """Raises InvalidFieldError for a key that is no name of a field of predictions."""
    for key, value in keys.items():
        if type(value) is not str:
            field = f"{CONFIG}.bigqueryImportKeys.{key[:80]}"
            _refuse(field, f"must be a string, not {shown(value)}")


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


def check_job(spec: JsonObject, at: str = "") -> None:
    """Checks an EvaluationJob against the API's limits; raises InvalidFieldError.

    `at` is the path of the job in the request.
    """
    if len(spec.get("description", "")) > MAX_DESCRIPTION:
        _refuse(
            f"{at}description",
            f"has {len(spec['description'])} characters; the limit is {MAX_DESCRIPTION}",
        )
    version = spec.get("modelVersion")
    if version and _MODEL_VERSION.fullmatch(version) is None:
        _refuse(f"{at}modelVersion", f"{shown(version)} is not projects/P/models/M/versions/V")
    config = spec.get(CONFIG) or {}
    at_config = f"{at}{CONFIG}."
    check_numbers(config, at_config)
    if config.get("inputConfig"):
        _check_input(config["inputConfig"], f"{at_config}inputConfig.")
        _check_sampling(config, at_config)
        _check_people(spec, config, at_config)


def check_numbers(config: JsonObject, at: str) -> None:
    """Checks the numbers that are given, of whole configurations and of patches."""
    if config.get("exampleCount", 1) < 1:
        _refuse(f"{at}exampleCount", f"{config['exampleCount']} is not a number of at least 1")
    sampled = config.get("exampleSamplePercentage", 0)
    if not isinstance(sampled, int | float) or not 0 <= sampled <= 1:
        _refuse(f"{at}exampleSamplePercentage", f"{shown(sampled)} is not a fraction from 0 to 1")
    boxed = (config.get("evaluationConfig") or {}).get("boundingBoxEvaluationOptions") or {}
    alert = config.get("evaluationJobAlertConfig") or {}
    for value, field in (
        (boxed.get("iouThreshold"), "evaluationConfig.boundingBoxEvaluationOptions.iouThreshold"),
        (
            alert.get("minAcceptableMeanAveragePrecision"),
            "evaluationJobAlertConfig.minAcceptableMeanAveragePrecision",
        ),
    ):
        if value is not None and (not isinstance(value, int | float) or not 0 <= value <= 1):
            _refuse(f"{at}{field}", f"{shown(value)} is not a number from 0 to 1")
    if alert.get("email") and _EMAIL.fullmatch(alert["email"]) is None:
        _refuse(
            f"{at}evaluationJobAlertConfig.email", f"{shown(alert['email'])} is not a mail address"
        )


def _check_input(given: JsonObject, at: str) -> None:
    annotation = given.get("annotationType", "")
    if annotation not in ANNOTATIONS:
        _refuse(
            f"{at}annotationType", f"{shown(annotation)} is not one of {', '.join(ANNOTATIONS)}"
        )
    if given.get("dataType") != ANNOTATIONS[annotation]:
        _refuse(
            f"{at}dataType",
            f"must be {ANNOTATIONS[annotation]} for {annotation}, not {shown(given.get('dataType'))}",
        )
    if annotation != BOXES and given.get("classificationMetadata") is None:
        _refuse(f"{at}classificationMetadata", f"is missing, and {annotation} needs it")
    if "gcsSource" in given:
        _refuse(f"{at}gcsSource", "is not allowed: samples go to a bigquerySource")
    uri = (given.get("bigquerySource") or {}).get("inputUri", "")
    if len(uri) > MAX_INPUT_URI or _BIGQUERY.fullmatch(uri) is None:
        _refuse(f"{at}bigquerySource.inputUri", f"{shown(uri)} is not bq://project/dataset/table")


def _check_sampling(config: JsonObject, at: str) -> None:
    for field in ("exampleCount", "exampleSamplePercentage"):
        if field not in config:
            _refuse(f"{at}{field}", "is missing; give a number")
    keys = config.get("bigqueryImportKeys") or {}
    if not keys.get("data_json_key") and not keys.get("reference_json_key"):
        why = "lacks data_json_key or reference_json_key; give one of them"
        _refuse(f"{at}bigqueryImportKeys", why)
    needed = ["label_json_key", "label_score_json_key"]
    if config["inputConfig"]["annotationType"] == BOXES:
        needed.append("bounding_box_json_key")
    for key in needed:
        if not keys.get(key):
            _refuse(f"{at}bigqueryImportKeys", f"lacks {key}, and needs {', '.join(needed)}")


def _check_people(spec: JsonObject, config: JsonObject, at: str) -> None:
    human = config.get("humanAnnotationConfig") or {}
    if spec.get("labelMissingGroundTruth"):
        if not human:
            _refuse(
                f"{at}humanAnnotationConfig", "is missing, and labelMissingGroundTruth needs it"
            )
        _check_human(human, config["inputConfig"]["dataType"], f"{at}humanAnnotationConfig.")
    several = (config["inputConfig"].get("classificationMetadata") or {}).get("isMultiLabel", False)
    for field in ("imageClassificationConfig", "boundingPolyConfig", "textClassificationConfig"):
        value = config.get(field) or {}
        if value.get("annotationSpecSet", spec.get("annotationSpecSet")) != spec.get(
            "annotationSpecSet"
        ):
            _refuse(f"{at}{field}.annotationSpecSet", "must be the job's own annotationSpecSet")
        if (
            value
            and field != "boundingPolyConfig"
            and value.get("allowMultiLabel", False) != several
        ):
            _refuse(
                f"{at}{field}.allowMultiLabel",
                f"must be {str(several).lower()}, as classificationMetadata.isMultiLabel is",
            )


def _check_human(human: JsonObject, data_type: str, at: str) -> None:
    for field in ("instruction", "annotatedDatasetDisplayName"):
        if not human.get(field):
            _refuse(f"{at}{field}", "is missing; give a text")
    if len(human["annotatedDatasetDisplayName"]) > MAX_DISPLAY_NAME:
        _refuse(
            f"{at}annotatedDatasetDisplayName",
            f"is longer than {MAX_DISPLAY_NAME} characters, the limit",
        )
    if len(human.get("annotatedDatasetDescription", "")) > MAX_ANNOTATED_DESCRIPTION:
        why = f"is longer than {MAX_ANNOTATED_DESCRIPTION} characters, the limit"
        _refuse(f"{at}annotatedDatasetDescription", why)
    if _LABEL_GROUP.fullmatch(human.get("labelGroup", "")) is None:
        _refuse(
            f"{at}labelGroup",
            f"{shown(human['labelGroup'])} is not up to 128 letters, digits, - and _",
        )
    replicas = human.get("replicaCount", 1)
    if data_type == "IMAGE" and replicas not in IMAGE_REPLICAS:
        _refuse(f"{at}replicaCount", f"{replicas} is not 1, 3 or 5, the numbers for images")
    if not 1 <= replicas <= MAX_REPLICAS:
        _refuse(f"{at}replicaCount", f"{replicas} is not from 1 to {MAX_REPLICAS}")
    seconds = float(str(human.get("questionDuration", "0s")).removesuffix("s") or 0)
    if not 0 <= seconds <= MAX_QUESTION_SECONDS:
        _refuse(
            f"{at}questionDuration",
            f"{shown(human['questionDuration'])} is not from 0s to {MAX_QUESTION_SECONDS}s",
        )


def _refuse(field: str, why: str) -> None:
    raise InvalidFieldError(field, why)
