"""Bodies of evaluation jobs: refusals with the field's path, and the plan of valid ones."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.metrics.evaluation import COCO_IOU, Names, Plan, names_of, read_plan
from jobledger.domain.metrics.job_limits import check_job, check_numbers
from jobledger.domain.values.canonical import JsonObject

from tests.evaluation_jobs import CONFIG, KEYS, TEXT, spec_of

IMAGE, BOXES = "IMAGE_CLASSIFICATION_ANNOTATION", "IMAGE_BOUNDING_BOX_ANNOTATION"
MISSING = object()
"""In place of a value: the field is removed."""
INPUT = f"{CONFIG}.inputConfig"
IOU = f"{CONFIG}.evaluationConfig.boundingBoxEvaluationOptions.iouThreshold"
PRECISION = f"{CONFIG}.evaluationJobAlertConfig.minAcceptableMeanAveragePrecision"
EMAIL = f"{CONFIG}.evaluationJobAlertConfig.email"
URI = f"{INPUT}.bigquerySource.inputUri"
IMPORT = f"{CONFIG}.bigqueryImportKeys"
HUMAN = f"{CONFIG}.humanAnnotationConfig"
NO_TABLE = "is not bq://project/dataset/table"
FROM_0_TO_1 = "is not a number from 0 to 1"


def changed(spec: JsonObject, path: str, value: Any) -> JsonObject:
    """A copy with this value at that path; objects on the way are made."""
    copied = deepcopy(spec)
    *parents, last = path.split(".")
    inner = copied
    for parent in parents:
        inner = inner.setdefault(parent, {})
    if value is MISSING:
        inner.pop(last, None)
    else:
        inner[last] = value
    return copied


TEXT_JOB, IMAGE_JOB, BOX_JOB = spec_of(TEXT), spec_of(IMAGE), spec_of(BOXES)
PEOPLES_JOB = spec_of(TEXT, people=True, replicas=2)
PEOPLES_IMAGES = spec_of(IMAGE, people=True, replicas=3)
SEVERAL = spec_of(TEXT, multi_label=True)

REFUSED = [
    (TEXT_JOB, "description", "x" * 25_001, "has 25001 characters; the limit is 25000"),
    (TEXT_JOB, "modelVersion", "projects/p/models/m", "is not projects/P/models/M/versions/V"),
    (TEXT_JOB, f"{CONFIG}.exampleCount", 0, "is not a number of at least 1"),
    (TEXT_JOB, f"{CONFIG}.exampleCount", MISSING, "is missing"),
    *(
        (TEXT_JOB, f"{CONFIG}.exampleSamplePercentage", value, "is not a fraction from 0 to 1")
        for value in (-0.001, 1.001, 2, "1", None)
    ),
    (TEXT_JOB, f"{CONFIG}.exampleSamplePercentage", MISSING, "is missing"),
    *(
        (BOX_JOB, path, value, FROM_0_TO_1)
        for path in (IOU, PRECISION)
        for value in (-0.001, 1.001, 2, "1")
    ),
    (TEXT_JOB, EMAIL, "ana", "is not a mail address"),
    (TEXT_JOB, EMAIL, "ana@b c", "is not a mail address"),
    (TEXT_JOB, f"{INPUT}.dataType", "IMAGE", f"must be TEXT for {TEXT}, not"),
    (TEXT_JOB, f"{INPUT}.dataType", MISSING, f"must be TEXT for {TEXT}, not"),
    (TEXT_JOB, f"{INPUT}.classificationMetadata", MISSING, f"is missing, and {TEXT} needs it"),
    (TEXT_JOB, f"{INPUT}.gcsSource", {}, "is not allowed: samples go to a bigquerySource"),
    (TEXT_JOB, URI, "gs://p/d", NO_TABLE),
    (TEXT_JOB, URI, MISSING, NO_TABLE),
    (TEXT_JOB, URI, "bq://" + "p" * 1_996, NO_TABLE),
    (TEXT_JOB, f"{IMPORT}.label_json_key", "", "lacks label_json_key"),
    (TEXT_JOB, f"{IMPORT}.label_score_json_key", MISSING, "lacks label_score_json_key"),
    (TEXT_JOB, f"{IMPORT}.data_json_key", "", "lacks data_json_key or reference_json_key"),
    (TEXT_JOB, IMPORT, MISSING, "lacks data_json_key or reference_json_key"),
    (BOX_JOB, f"{IMPORT}.bounding_box_json_key", "", "lacks bounding_box_json_key"),
    (PEOPLES_JOB, HUMAN, MISSING, "is missing, and labelMissingGroundTruth needs it"),
    (PEOPLES_JOB, f"{HUMAN}.instruction", "", "is missing"),
    (PEOPLES_JOB, f"{HUMAN}.annotatedDatasetDisplayName", MISSING, "is missing"),
    (PEOPLES_JOB, f"{HUMAN}.annotatedDatasetDisplayName", "x" * 65, "is longer than 64 characters"),
    (PEOPLES_JOB, f"{HUMAN}.annotatedDatasetDescription", "x" * 10_001, "is longer than 10000 characters"),
    *(
        (PEOPLES_JOB, f"{HUMAN}.labelGroup", value, "is not up to 128 letters, digits, - and _")
        for value in ("x" * 129, "a b")
    ),
    (PEOPLES_IMAGES, f"{HUMAN}.replicaCount", 2, "2 is not 1, 3 or 5, the numbers for images"),
    *(
        (PEOPLES_JOB, f"{HUMAN}.replicaCount", value, f"{value} is not from 1 to 100")
        for value in (0, 101)
    ),
    *(
        (PEOPLES_JOB, f"{HUMAN}.questionDuration", value, "is not from 0s to 3600s")
        for value in ("-1s", "3600.5s", "3601s")
    ),
    *(
        (TEXT_JOB, f"{CONFIG}.{field}.annotationSpecSet", value, "must be the job's own annotationSpecSet")
        for field in ("imageClassificationConfig", "boundingPolyConfig", "textClassificationConfig")
        for value in ("projects/p/annotationSpecSets/2", None)
    ),
    *(
        (spec, f"{CONFIG}.{field}.allowMultiLabel", value, "as classificationMetadata.isMultiLabel is")
        for field in ("imageClassificationConfig", "textClassificationConfig")
        for spec, value in ((TEXT_JOB, True), (SEVERAL, False))
    ),
]  # fmt: skip
ACCEPTED = [
    (TEXT_JOB, "description", "x" * 25_000),
    (TEXT_JOB, "description", MISSING),
    (TEXT_JOB, "modelVersion", ""),
    (TEXT_JOB, "modelVersion", MISSING),
    (TEXT_JOB, f"{CONFIG}.exampleCount", 1),
    (TEXT_JOB, f"{CONFIG}.exampleSamplePercentage", 0),
    (TEXT_JOB, f"{CONFIG}.exampleSamplePercentage", 1),
    *((BOX_JOB, path, value) for path in (IOU, PRECISION) for value in (None, 0, 0.5, 1)),
    (TEXT_JOB, EMAIL, ""),
    (TEXT_JOB, EMAIL, "ana@example.com"),
    (TEXT_JOB, URI, "bq://p"),
    (TEXT_JOB, URI, "bq://" + "p" * 1_995),
    (TEXT_JOB, IMPORT, {**KEYS, "data_json_key": "", "reference_json_key": "uri"}),
    (BOX_JOB, f"{INPUT}.classificationMetadata", MISSING),
    (BOX_JOB, f"{CONFIG}.boundingPolyConfig", {"allowMultiLabel": True}),
    (TEXT_JOB, f"{CONFIG}.textClassificationConfig", {"answerAggregationType": "UNANIMOUS_VOTE"}),
    (SEVERAL, f"{CONFIG}.textClassificationConfig", {"allowMultiLabel": True}),
    (SEVERAL, f"{CONFIG}.textClassificationConfig", None),
    (changed(TEXT_JOB, f"{CONFIG}.textClassificationConfig", {"allowMultiLabel": False}),
     f"{INPUT}.classificationMetadata", {}),
    (PEOPLES_JOB, f"{HUMAN}.annotatedDatasetDisplayName", "x" * 64),
    (PEOPLES_JOB, f"{HUMAN}.annotatedDatasetDescription", "x" * 10_000),
    (PEOPLES_JOB, f"{HUMAN}.labelGroup", "-_aZ9" * 25),
    *((PEOPLES_JOB, f"{HUMAN}.replicaCount", value) for value in (1, 2, 100, MISSING)),
    *((PEOPLES_IMAGES, f"{HUMAN}.replicaCount", value) for value in (1, 3, 5, MISSING)),
    *((PEOPLES_JOB, f"{HUMAN}.questionDuration", value) for value in ("0s", "3600s", "s", "1.5s")),
    (TEXT_JOB, HUMAN, {"replicaCount": 0}),
]  # fmt: skip


@pytest.mark.parametrize("at", ["", "evaluationJob."])
def test_an_invalid_field_is_named_by_its_path(at: str) -> None:
    for spec, path, value, why in REFUSED:
        with pytest.raises(InvalidFieldError) as caught:
            check_job(changed(spec, path, value), at)
        # Keys are named all together, and by what they lack.
        named = IMPORT if path.startswith(IMPORT) else path
        assert caught.value.field == at + named, (path, value)
        assert why in caught.value.why
        if isinstance(value, str) and value:
            assert (
                why.startswith(("has ", "lacks ", "is longer", "must be"))
                or value[:70] in caught.value.why
            )


def test_an_unknown_annotation_type_lists_the_known_ones() -> None:
    why = f"is not one of {IMAGE}, {BOXES}, {TEXT}, GENERAL_CLASSIFICATION_ANNOTATION"
    for value in ("VIDEO", MISSING):
        with pytest.raises(InvalidFieldError) as caught:
            check_job(changed(TEXT_JOB, f"{INPUT}.annotationType", value), "job.")
        assert caught.value.field == f"job.{INPUT}.annotationType"
        assert caught.value.why.endswith(why)


@pytest.mark.parametrize("spec", [TEXT_JOB, IMAGE_JOB, BOX_JOB, PEOPLES_JOB, PEOPLES_IMAGES])
def test_whole_jobs_are_accepted(spec: JsonObject) -> None:
    check_job(spec)


def test_paths_of_fields_begin_at_the_job_or_at_a_given_prefix() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_job({"description": "x" * 25_001})
    assert caught.value.field == "description"


def test_values_at_the_limits_are_accepted() -> None:
    for spec, path, value in ACCEPTED:
        check_job(changed(spec, path, value))


def test_a_job_without_an_input_is_kept_and_cannot_be_planned() -> None:
    specs: list[JsonObject] = [{}, {CONFIG: {}}, {CONFIG: {"inputConfig": {}}}, {CONFIG: None}]
    for spec in specs:
        check_job(spec)
        check_numbers(spec.get(CONFIG) or {}, "")
        with pytest.raises(InvalidFieldError) as caught:
            read_plan(spec)
        error = caught.value
        assert (error.field, error.why) == (
            INPUT,
            "is missing; without it the job cannot sample predictions",
        )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("evaluationJobConfig", "x"),
        ("evaluationJobConfig.inputConfig", [1]),
        ("evaluationJobConfig.inputConfig.annotationType", {}),
        ("evaluationJobConfig.bigqueryImportKeys.label_json_key", 5),
        ("evaluationJobConfig.exampleCount", "many"),
        ("evaluationJobConfig.exampleCount", 2**40),
        ("evaluationJobConfig.exampleSamplePercentage", "1"),
        ("evaluationJobConfig.evaluationConfig.boundingBoxEvaluationOptions.iouThreshold", "x"),
        ("modelVersion", 7),
    ],
)
def test_a_value_that_no_plan_can_have_is_named_by_its_path(path: str, value: Any) -> None:
    spec = deepcopy(spec_of())
    *above, last = path.split(".")
    part = spec
    for each in above:
        part = part.setdefault(each, {})
    part[last] = value
    with pytest.raises(InvalidFieldError, match=re.escape(path)):
        read_plan(spec)


def test_a_plan_holds_every_field_of_the_body() -> None:
    spec = spec_of(
        IMAGE,
        multi_label=True,
        people=True,
        replicas=3,
        example_count=7,
        fraction=0.25,
        alert={"email": "ana@example.com", "minAcceptableMeanAveragePrecision": 0.75},
        imageClassificationConfig={"answerAggregationType": "UNANIMOUS_VOTE"},
        evaluationConfig={"boundingBoxEvaluationOptions": {"iouThreshold": 0.625}},
    )
    assert read_plan(spec | {"modelVersion": "projects/q/models/m/versions/v1"}) == Plan(
        model="m",
        model_version="v1",
        annotation=IMAGE,
        multi_label=True,
        keys=KEYS,
        example_count=7,
        fraction=0.25,
        by_people=True,
        instruction="projects/p/instructions/1",
        replica_count=3,
        aggregation="UNANIMOUS_VOTE",
        spec_set="projects/p/annotationSpecSets/1",
        iou_threshold=0.625,
        min_precision=0.75,
        email="ana@example.com",
    )


def test_a_plan_of_a_short_body_has_the_defaults() -> None:
    assert read_plan({CONFIG: {"inputConfig": {"annotationType": TEXT}}}) == Plan(
        model="",
        model_version="",
        annotation=TEXT,
        multi_label=False,
        keys={},
        example_count=0,
        fraction=0.0,
        by_people=False,
        instruction="",
        replica_count=1,
        aggregation="MAJORITY_VOTE",
        spec_set="",
        iou_threshold=COCO_IOU,
        min_precision=0.0,
        email="",
    )


@pytest.mark.parametrize(
    ("field", "of"),
    [("textClassificationConfig", TEXT), ("imageClassificationConfig", IMAGE)],
)
def test_answers_are_aggregated_as_the_configuration_of_labels_says(field: str, of: str) -> None:
    config: dict[str, Any] = {field: {"answerAggregationType": "NO_AGGREGATION"}}
    assert read_plan(spec_of(of, **config)).aggregation == "NO_AGGREGATION"


def test_resources_of_a_run_are_named_after_the_job_and_the_run() -> None:
    assert names_of("projects/p/evaluationJobs/7", 3) == Names(
        "projects/p/datasets/7_3", "projects/p/datasets/7_3/evaluations/7_3"
    )
