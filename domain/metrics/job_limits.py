"""The limits of an EvaluationJob, which are those of the API's reference."""

import re
from typing import Final

from jobledger.domain.errors import shown
from jobledger.domain.metrics.evaluation import ANNOTATIONS, BOXES, CONFIG, MODEL_VERSION, refuse
from jobledger.domain.values.canonical import JsonObject

MAX_DESCRIPTION: Final = 25_000
MAX_INPUT_URI: Final = 2_000
MAX_DISPLAY_NAME: Final = 64
MAX_ANNOTATED_DESCRIPTION: Final = 10_000
IMAGE_REPLICAS: Final = (1, 3, 5)
MAX_REPLICAS: Final = 100
MAX_QUESTION_SECONDS: Final = 3_600
_BIGQUERY: Final = re.compile(r"bq://[^/\s]+(/[^/\s]+){0,2}")
_LABEL_GROUP: Final = re.compile(r"[a-zA-Z\d_-]{0,128}", re.ASCII)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


def check_job(spec: JsonObject, at: str = "") -> None:
    """Checks an EvaluationJob against the API's limits; raises InvalidFieldError.

    `at` is the path of the job in the request.
    """
    if len(spec.get("description", "")) > MAX_DESCRIPTION:
        refuse(
            f"{at}description",
            f"has {len(spec['description'])} characters; the limit is {MAX_DESCRIPTION}",
        )
    version = spec.get("modelVersion")
    if version and MODEL_VERSION.fullmatch(version) is None:
        refuse(f"{at}modelVersion", f"{shown(version)} is not projects/P/models/M/versions/V")
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
        refuse(f"{at}exampleCount", f"{config['exampleCount']} is not a number of at least 1")
    sampled = config.get("exampleSamplePercentage", 0)
    if not isinstance(sampled, int | float) or not 0 <= sampled <= 1:
        refuse(f"{at}exampleSamplePercentage", f"{shown(sampled)} is not a fraction from 0 to 1")
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
            refuse(f"{at}{field}", f"{shown(value)} is not a number from 0 to 1")
    if alert.get("email") and _EMAIL.fullmatch(alert["email"]) is None:
        refuse(
            f"{at}evaluationJobAlertConfig.email", f"{shown(alert['email'])} is not a mail address"
        )


def _check_input(given: JsonObject, at: str) -> None:
    annotation = given.get("annotationType", "")
    if annotation not in ANNOTATIONS:
        refuse(f"{at}annotationType", f"{shown(annotation)} is not one of {', '.join(ANNOTATIONS)}")
    if given.get("dataType") != ANNOTATIONS[annotation]:
        refuse(
            f"{at}dataType",
            f"must be {ANNOTATIONS[annotation]} for {annotation}, not {shown(given.get('dataType'))}",
        )
    if annotation != BOXES and given.get("classificationMetadata") is None:
        refuse(f"{at}classificationMetadata", f"is missing, and {annotation} needs it")
    if "gcsSource" in given:
        refuse(f"{at}gcsSource", "is not allowed: samples go to a bigquerySource")
    uri = (given.get("bigquerySource") or {}).get("inputUri", "")
    if len(uri) > MAX_INPUT_URI or _BIGQUERY.fullmatch(uri) is None:
        refuse(f"{at}bigquerySource.inputUri", f"{shown(uri)} is not bq://project/dataset/table")


def _check_sampling(config: JsonObject, at: str) -> None:
    for field in ("exampleCount", "exampleSamplePercentage"):
        if field not in config:
            refuse(f"{at}{field}", "is missing; give a number")
    keys = config.get("bigqueryImportKeys") or {}
    if not keys.get("data_json_key") and not keys.get("reference_json_key"):
        why = "lacks data_json_key or reference_json_key; give one of them"
        refuse(f"{at}bigqueryImportKeys", why)
    needed = ["label_json_key", "label_score_json_key"]
    if config["inputConfig"]["annotationType"] == BOXES:
        needed.append("bounding_box_json_key")
    for key in needed:
        if not keys.get(key):
            refuse(f"{at}bigqueryImportKeys", f"lacks {key}, and needs {', '.join(needed)}")


def _check_people(spec: JsonObject, config: JsonObject, at: str) -> None:
    human = config.get("humanAnnotationConfig") or {}
    if spec.get("labelMissingGroundTruth"):
        if not human:
            refuse(f"{at}humanAnnotationConfig", "is missing, and labelMissingGroundTruth needs it")
        _check_human(human, config["inputConfig"]["dataType"], f"{at}humanAnnotationConfig.")
    several = (config["inputConfig"].get("classificationMetadata") or {}).get("isMultiLabel", False)
    for field in ("imageClassificationConfig", "boundingPolyConfig", "textClassificationConfig"):
        value = config.get(field) or {}
        if value.get("annotationSpecSet", spec.get("annotationSpecSet")) != spec.get(
            "annotationSpecSet"
        ):
            refuse(f"{at}{field}.annotationSpecSet", "must be the job's own annotationSpecSet")
        if (
            value
            and field != "boundingPolyConfig"
            and value.get("allowMultiLabel", False) != several
        ):
            refuse(
                f"{at}{field}.allowMultiLabel",
                f"must be {str(several).lower()}, as classificationMetadata.isMultiLabel is",
            )


def _check_human(human: JsonObject, data_type: str, at: str) -> None:
    for field in ("instruction", "annotatedDatasetDisplayName"):
        if not human.get(field):
            refuse(f"{at}{field}", "is missing; give a text")
    if len(human["annotatedDatasetDisplayName"]) > MAX_DISPLAY_NAME:
        refuse(
            f"{at}annotatedDatasetDisplayName",
            f"is longer than {MAX_DISPLAY_NAME} characters, the limit",
        )
    if len(human.get("annotatedDatasetDescription", "")) > MAX_ANNOTATED_DESCRIPTION:
        why = f"is longer than {MAX_ANNOTATED_DESCRIPTION} characters, the limit"
        refuse(f"{at}annotatedDatasetDescription", why)
    if _LABEL_GROUP.fullmatch(human.get("labelGroup", "")) is None:
        refuse(
            f"{at}labelGroup",
            f"{shown(human['labelGroup'])} is not up to 128 letters, digits, - and _",
        )
    replicas = human.get("replicaCount", 1)
    if data_type == "IMAGE" and replicas not in IMAGE_REPLICAS:
        refuse(f"{at}replicaCount", f"{replicas} is not 1, 3 or 5, the numbers for images")
    if not 1 <= replicas <= MAX_REPLICAS:
        refuse(f"{at}replicaCount", f"{replicas} is not from 1 to {MAX_REPLICAS}")
    seconds = float(str(human.get("questionDuration", "0s")).removesuffix("s") or 0)
    if not 0 <= seconds <= MAX_QUESTION_SECONDS:
        refuse(
            f"{at}questionDuration",
            f"{shown(human['questionDuration'])} is not from 0s to {MAX_QUESTION_SECONDS}s",
        )
