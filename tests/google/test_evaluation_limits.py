"""What Data Labeling refuses of evaluation jobs: the limits of its reference, each with the field that is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients import discovered, refusal_of
from tests.evaluation_jobs import CONFIG, KEYS, spec_of
from tests.grpc_clients import Clients, refusal
from tests.servers import Server, new_server

IMAGES = "IMAGE_CLASSIFICATION_ANNOTATION"
BOXES = "IMAGE_BOUNDING_BOX_ANNOTATION"
INPUT, HUMAN, ALERT = "inputConfig", "humanAnnotationConfig", "evaluationJobAlertConfig"


@pytest.fixture(scope="module")
def jobs(server: Server) -> Iterator[Any]:
    with discovered("datalabeling", "v1beta1", server) as made:
        yield made.projects().evaluationJobs()


@pytest.fixture(scope="module")
def lenient_jobs(dsn: str) -> Iterator[Any]:
    """The jobs of a server that takes jobs without the fields that Google requires."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOBLEDGER_EVALUATION_JOBS", "lenient")
        with new_server(dsn) as server, discovered("datalabeling", "v1beta1", server) as made:
            yield made.projects().evaluationJobs()


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}"


def changed(spec: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The spec with another value there; without any for None."""
    first, _, rest = path.partition(".")
    if rest:
        return spec | {first: changed(spec.get(first, {}), rest, value)}
    others = {field: expected for field, expected in spec.items() if field != first}
    return others if value is None else others | {first: value}


def keys_without(*left_out: str, boxes: bool = False) -> dict[str, str]:
    keys = KEYS | ({"bounding_box_json_key": "box"} if boxes else {})
    return {key: value for key, value in keys.items() if key not in left_out}


def of(path: str, value: Any, annotation: str = IMAGES, **spec: Any) -> tuple[dict[str, Any], str]:
    """A job that is right but for that, and the field that is wrong with it."""
    return changed(spec_of(annotation, people=True, **spec), path, value), path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "field"),
    [
        of("description", "x" * 25_001),
        of("modelVersion", "projects/p/models/m"),
        of("modelVersion", "projects/p/models/m/versions/v/w"),
        of("schedule", "every now and then"),
        of("schedule", "61 * * * *"),
        of("schedule", "0 0 30 2 *"),
        of("schedule", "every 0 hours"),
        of(f"{CONFIG}.{INPUT}.dataType", "VIDEO"),
        of(f"{CONFIG}.{INPUT}.dataType", "TEXT"),
        of(f"{CONFIG}.{INPUT}.dataType", None),
        of(f"{CONFIG}.{INPUT}.dataType", "IMAGE", "TEXT_CLASSIFICATION_ANNOTATION"),
        of(f"{CONFIG}.{INPUT}.dataType", "TEXT", "GENERAL_CLASSIFICATION_ANNOTATION"),
        of(f"{CONFIG}.{INPUT}.annotationType", "IMAGE_SEGMENTATION_ANNOTATION"),
        of(f"{CONFIG}.{INPUT}.annotationType", None),
        of(f"{CONFIG}.{INPUT}.classificationMetadata", None),
        of(f"{CONFIG}.{INPUT}.bigquerySource.inputUri", "gs://b/t"),
        of(f"{CONFIG}.{INPUT}.bigquerySource.inputUri", f"bq://p/d/{'t' * 2_000}"),
        of(f"{CONFIG}.{INPUT}.bigquerySource.inputUri", None),
        of(f"{CONFIG}.evaluationConfig.boundingBoxEvaluationOptions.iouThreshold", 1.1, BOXES),
        of(f"{CONFIG}.exampleCount", 0),
        of(f"{CONFIG}.exampleCount", -1),
        of(f"{CONFIG}.exampleCount", None),
        of(f"{CONFIG}.exampleSamplePercentage", 10),
        of(f"{CONFIG}.exampleSamplePercentage", -0.1),
        of(f"{CONFIG}.exampleSamplePercentage", "NaN"),
        of(f"{CONFIG}.exampleSamplePercentage", None),
        of(f"{CONFIG}.bigqueryImportKeys", None),
        of(f"{CONFIG}.bigqueryImportKeys", keys_without("data_json_key")),
        of(f"{CONFIG}.bigqueryImportKeys", keys_without("label_json_key")),
        of(f"{CONFIG}.bigqueryImportKeys", keys_without("label_score_json_key")),
        of(f"{CONFIG}.bigqueryImportKeys", keys_without(), BOXES),
        of(f"{CONFIG}.{HUMAN}", None),
        of(f"{CONFIG}.{HUMAN}.instruction", None),
        of(f"{CONFIG}.{HUMAN}.annotatedDatasetDisplayName", None),
        of(f"{CONFIG}.{HUMAN}.annotatedDatasetDisplayName", "x" * 65),
        of(f"{CONFIG}.{HUMAN}.annotatedDatasetDescription", "x" * 10_001),
        of(f"{CONFIG}.{HUMAN}.labelGroup", "a b"),
        of(f"{CONFIG}.{HUMAN}.labelGroup", "x" * 129),
        of(f"{CONFIG}.{HUMAN}.replicaCount", 2),
        of(f"{CONFIG}.{HUMAN}.replicaCount", 2, BOXES),
        of(f"{CONFIG}.{HUMAN}.questionDuration", "3601s"),
        of(f"{CONFIG}.imageClassificationConfig", {"annotationSpecSet": "projects/p/annotationSpecSets/2"}),
        of(f"{CONFIG}.boundingPolyConfig", {"annotationSpecSet": "projects/p/annotationSpecSets/2"}, BOXES),
        of(f"{CONFIG}.imageClassificationConfig", {"allowMultiLabel": True}),
        of(f"{CONFIG}.{ALERT}.minAcceptableMeanAveragePrecision", 1.1),
        of(f"{CONFIG}.{ALERT}.email", "nobody"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_values_beyond_the_limits_are_refused(
    jobs: Any, server: Server, parent: str, spec: dict[str, Any], field: str
) -> None:
    before = server.ledger.size()
    refused = refusal_of(jobs.create(parent=parent, body={"job": spec}))
    assert refused[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert refused.message.startswith((f"job.{field}: ", f"job.{field}."))
    assert server.ledger.size() == before


def test_samples_come_from_bigquery_only(jobs: Any, parent: str) -> None:
    spec, _ = of(f"{CONFIG}.{INPUT}.bigquerySource", None)
    source = {"inputUri": "gs://b/f", "mimeType": "image/png"}
    spec = changed(spec, f"{CONFIG}.{INPUT}.gcsSource", source)
    refused = refusal_of(jobs.create(parent=parent, body={"job": spec}))
    assert refused[:2] == (400, "INVALID_ARGUMENT")
    assert refused.message.startswith(f"job.{CONFIG}.{INPUT}.gcsSource: ")


@pytest.mark.parametrize(
    "spec",
    [
        spec_of(),
        spec_of("GENERAL_CLASSIFICATION_ANNOTATION", people=True, replicas=2),
        spec_of(IMAGES, people=True, replicas=5, multi_label=True,
                imageClassificationConfig={"annotationSpecSet": "projects/p/annotationSpecSets/1", "allowMultiLabel": True}),
        spec_of(BOXES, bigqueryImportKeys=keys_without("data_json_key", boxes=True) | {"reference_json_key": "uri"}),
        spec_of(fraction=0, example_count=1, schedule="0 10 * * 1"),
        spec_of(alert={"email": "a@b.c", "minAcceptableMeanAveragePrecision": 1}),
        spec_of(spec_set="projects/nobody/annotationSpecSets/made"),
    ],
    ids=[f"job{n}" for n in range(7)],
)  # fmt: skip
def test_values_within_the_limits_are_accepted_and_shown(
    jobs: Any, parent: str, spec: dict[str, Any]
) -> None:
    made = jobs.create(parent=parent, body={"job": spec}).execute()
    assert {field: made.get(field) for field in spec} == spec


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    [
        {"description": "x", "schedule": "every 24 hours"}, {"schedule": "when it rains"}, {},
        {CONFIG: {"exampleCount": 5, "bigqueryImportKeys": {"data_json_key": "k"}}}, {"labelMissingGroundTruth": True},
        {CONFIG: {HUMAN: {"replicaCount": 2}}},
    ],
)  # fmt: skip
def test_a_job_that_does_not_say_what_it_samples_is_kept_as_it_is(
    lenient_jobs: Any, parent: str, spec: dict[str, Any]
) -> None:
    made = lenient_jobs.create(parent=parent, body={"job": spec}).execute()
    assert {field: made.get(field) for field in spec} == spec


def test_a_model_version_has_one_job_at_a_time(jobs: Any, parent: str) -> None:
    first = spec_of()
    name = jobs.create(parent=parent, body={"job": first}).execute()["name"]
    second = {"job": spec_of(IMAGES) | {"modelVersion": first["modelVersion"]}}
    for verb in (None, jobs.pause, jobs.resume):
        if verb is not None:
            verb(name=name, body={}).execute()
        refused = refusal_of(jobs.create(parent=parent, body=second))
        assert refused[:3] == (409, "ALREADY_EXISTS", "JOB_EXISTS")
    jobs.delete(name=name).execute()
    assert jobs.create(parent=parent, body=second).execute()["name"] != name


@pytest.mark.parametrize(
    ("mask", "value"),
    [
        (f"{CONFIG}.exampleCount", 0),
        (f"{CONFIG}.exampleCount", -1),
        (f"{CONFIG}.exampleSamplePercentage", 1.01),
        (f"{CONFIG}.exampleSamplePercentage", "Infinity"),
    ],
)
def test_a_patch_has_the_same_limits(
    jobs: Any, server: Server, parent: str, mask: str, value: Any
) -> None:
    name = jobs.create(parent=parent, body={"job": spec_of()}).execute()["name"]
    before = server.ledger.size()
    body = changed({}, mask, value)
    refused = refusal_of(jobs.patch(name=name, updateMask=mask, body=body))
    assert refused[:2] == (400, "INVALID_ARGUMENT")
    assert refused.message.startswith(f"{mask}: ")
    assert server.ledger.size() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "mask",
    ["schedule", "description", "modelVersion", "annotationSpecSet", "labelMissingGroundTruth", "state", "name",
     f"{CONFIG}.{INPUT}", f"{CONFIG}.{HUMAN}", f"{CONFIG}.{HUMAN}.replicaCount", f"{CONFIG}.{ALERT}",
     f"{CONFIG}.exampleCount,schedule", CONFIG, "*"],
)  # fmt: skip
def test_nothing_but_the_three_paths_is_patched(
    jobs: Any, server: Server, parent: str, mask: str
) -> None:
    name = jobs.create(parent=parent, body={"job": spec_of()}).execute()["name"]
    before = server.ledger.size()
    body = {"description": "other", CONFIG: {"exampleCount": 9}}
    refused = refusal_of(jobs.patch(name=name, updateMask=mask, body=body))
    assert refused[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert refused.message.startswith("updateMask: ")
    assert server.ledger.size() == before


def test_the_limits_are_the_same_over_grpc(google: Clients, parent: str) -> None:
    labeling, job = google.labeling, google.d.EvaluationJob
    create = labeling.create_evaluation_job
    for spec, field in (
        of(f"{CONFIG}.{INPUT}.dataType", "VIDEO"),
        of("schedule", "every now and then"),
        of(f"{CONFIG}.{HUMAN}.replicaCount", 2),
    ):
        expected = job.from_json(json.dumps(spec))
        error = refusal("InvalidArgument", create, parent=parent, job=expected)
        assert error.metadata["field"] == f"job.{field}"
    expected = job.from_json(json.dumps(spec_of()))
    made = create(parent=parent, job=expected)
    refusal("AlreadyExists", create, parent=parent, job=expected)
    assert made.evaluation_job_config.example_count == 1_000
