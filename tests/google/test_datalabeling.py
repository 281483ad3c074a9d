"""Data Labeling v1beta1 evaluation jobs, through Google's own client."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from googleapiclient.errors import HttpError
from jobledger.domain.events import Event, ProgressReported
from jobledger.domain.states import JobState as S

from tests.clients import ENDED, EVERY_STATE, bring, discovered, refusal_of, tell
from tests.servers import Server, new_server

SHOWN = {
    S.QUEUED: "SCHEDULED",
    S.PENDING: "SCHEDULED",
    S.RUNNING: "RUNNING",
    S.UPDATING: "RUNNING",
    S.PAUSED: "PAUSED",
} | dict.fromkeys([*ENDED, S.CANCELLING], "STOPPED")
CONFIG = "evaluationJobConfig"
_versions = count(1)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    with discovered("datalabeling", "v1beta1", server) as made:
        yield made


@pytest.fixture(scope="module")
def jobs(client: Any) -> Any:
    return client.projects().evaluationJobs()


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}"


def evaluation(model: str = "m", version: str | None = None) -> dict[str, Any]:
    """A job of a model version that has none yet, unless it is said which."""
    return {
        "description": "how good it is",
        "schedule": "every 24 hours",
        "modelVersion": f"projects/q/models/{model}/versions/{version or f'v{next(_versions)}'}",
        "annotationSpecSet": "projects/p/annotationSpecSets/1",
        "labelMissingGroundTruth": True,
        CONFIG: {
            "inputConfig": {
                "dataType": "IMAGE",
                "annotationType": "IMAGE_BOUNDING_BOX_ANNOTATION",
                "bigquerySource": {"inputUri": "bq://p/d/t"},
            },
            "evaluationConfig": {"boundingBoxEvaluationOptions": {"iouThreshold": 0.5}},
            "humanAnnotationConfig": {
                "instruction": "projects/p/instructions/1",
                "annotatedDatasetDisplayName": "d",
                "replicaCount": 3,
                "questionDuration": "60s",
            },
            "boundingPolyConfig": {"annotationSpecSet": "projects/p/annotationSpecSets/1"},
            "bigqueryImportKeys": {
                "data_json_key": "image",
                "label_json_key": "label",
                "label_score_json_key": "score",
                "bounding_box_json_key": "box",
            },
            "exampleCount": 100,
            "exampleSamplePercentage": 0.1,
        },
    }


def make(jobs: Any, parent: str, model: str = "m", version: str | None = None) -> str:
    body = {"job": evaluation(model, version)}
    return str(jobs.create(parent=parent, body=body).execute()["name"])


@pytest.fixture
def name(jobs: Any, parent: str) -> str:
    return make(jobs, parent)


def state(jobs: Any, name: str) -> str:
    return str(jobs.get(name=name).execute()["state"])


# Create, get


def test_a_job_is_scheduled_once_it_was_created(jobs: Any, parent: str) -> None:
    asked = evaluation()
    made = jobs.create(parent=parent, body={"job": asked}).execute()
    collection, _, number = made.pop("name").rpartition("/")
    assert (collection, number.isdecimal()) == (f"{parent}/evaluationJobs", True)
    assert made.pop("createTime").endswith("Z")
    assert made == asked | {"state": "SCHEDULED"}
    shown = jobs.get(name=f"{collection}/{number}").execute()
    assert {field: shown[field] for field in made} == made


def without(*path: str) -> dict[str, Any]:
    """A whole job without one field."""
    job = evaluation()
    inside = job
    for part in path[:-1]:
        inside = inside[part]
    del inside[path[-1]]
    return job


@pytest.mark.parametrize(
    "path",
    [
        ("schedule",), ("modelVersion",), (CONFIG,), (CONFIG, "inputConfig"),
        (CONFIG, "bigqueryImportKeys"), (CONFIG, "exampleCount"), (CONFIG, "exampleSamplePercentage"),
    ],
    ids=".".join,
)  # fmt: skip
def test_a_field_that_google_requires_is_required(
    jobs: Any, parent: str, path: tuple[str, ...]
) -> None:
    refused = refusal_of(jobs.create(parent=parent, body={"job": without(*path)}))
    assert refused[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    # Without the field, an error of another one may be found first.
    assert path[-1] in refused.message


@pytest.mark.parametrize("field", ["description", "annotationSpecSet"])
def test_a_field_that_no_run_needs_may_be_left_out(jobs: Any, parent: str, field: str) -> None:
    job = without(field)
    job[CONFIG]["boundingPolyConfig"].pop(field, None)
    made = jobs.create(parent=parent, body={"job": job}).execute()
    assert (made["state"], field in made) == ("SCHEDULED", False)


@pytest.mark.slow
def test_a_lenient_server_creates_a_job_of_any_fields(
    dsn: str, parent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBLEDGER_EVALUATION_JOBS", "lenient")
    with new_server(dsn) as server, discovered("datalabeling", "v1beta1", server) as client:
        create = client.projects().evaluationJobs().create
        for job in ({}, {"description": "some"}, without("schedule"), without(CONFIG)):
            made = create(parent=parent, body={"job": job}).execute()
            assert made["state"] == "SCHEDULED"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (evaluation(), "description"), ({}, "job"), ({"job": 1}, "job"), ({"job": {"no": 1}}, "job.no"),
        ({"job": {"description": "x" * 25_001}}, "job.description"),
        ({"job": {"modelVersion": "m/v"}}, "job.modelVersion"),
        ({"job": {CONFIG: {"exampleCount": -1}}}, f"job.{CONFIG}.exampleCount"),
        ({"job": {CONFIG: {"exampleCount": "many"}}}, f"job.{CONFIG}.exampleCount"),
        ({"job": {CONFIG: {"exampleSamplePercentage": 10}}}, f"job.{CONFIG}.exampleSamplePercentage"),
        ({"job": {CONFIG: {"inputConfig": {"dataType": "SOUND"}}}}, f"job.{CONFIG}.inputConfig.dataType"),
        ({"job": {CONFIG: {"textClassificationConfig": {}, "boundingPolyConfig": {}}}},
         f"job.{CONFIG}.boundingPolyConfig"),
        ({"job": {}, "name": "n"}, "name"),
    ],
)  # fmt: skip
def test_values_outside_the_reference_are_refused(
    jobs: Any, server: Server, parent: str, body: Any, field: str
) -> None:
    before = server.ledger.size()
    refused = refusal_of(jobs.create(parent=parent, body=body))
    assert refused[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert refused.message.startswith(f"{field}: ")
    assert server.ledger.size() == before


def test_an_unknown_job_is_not_found(jobs: Any, parent: str) -> None:
    unknown = f"{parent}/evaluationJobs/7"
    for request in (
        jobs.get(name=unknown),
        jobs.delete(name=unknown),
        jobs.pause(name=unknown, body={}),
        jobs.resume(name=unknown, body={}),
        jobs.patch(name=unknown, updateMask=f"{CONFIG}.exampleCount", body={}),
    ):
        assert refusal_of(request)[:3] == (404, "NOT_FOUND", "JOB_NOT_FOUND")


# One job a model version


def test_a_model_version_has_one_job(jobs: Any, parent: str) -> None:
    name = make(jobs, parent, "m", "v")
    for _ in range(2):
        refused = refusal_of(jobs.create(parent=parent, body={"job": evaluation("m", "v")}))
        assert refused[:3] == (409, "ALREADY_EXISTS", "JOB_EXISTS")
        assert name in refused.message
    make(jobs, parent, "m", "v2")


def test_a_model_version_may_have_another_job_once_its_own_is_deleted(
    jobs: Any, parent: str
) -> None:
    names = list[str]()
    for _ in range(3):
        names.append(make(jobs, parent, "m", "v"))
        assert refusal_of(jobs.create(parent=parent, body={"job": evaluation("m", "v")}))[0] == 409
        jobs.delete(name=names[-1]).execute()
    assert len(set(names)) == 3
    for name in names:
        assert refusal_of(jobs.get(name=name))[0] == 404


@pytest.mark.slow
def test_one_of_two_concurrent_creations_succeeds(server: Server, parent: str) -> None:
    """Discovery clients are not for several threads: each has one of its own."""

    def create(model: str) -> int:
        with discovered("datalabeling", "v1beta1", server) as client:
            request = client.projects().evaluationJobs().create(
                parent=parent, body={"job": evaluation(model, "v")}
            )  # fmt: skip
            try:
                request.execute()
            except HttpError as error:
                return int(error.status_code)
        return 200

    with ThreadPoolExecutor(8) as threads:
        for n in range(5):
            assert sorted(threads.map(create, [f"m{n}"] * 8)) == [200, *[409] * 7]


# Pause, resume, delete, and the states between


@pytest.mark.slow
@EVERY_STATE
def test_each_state_has_its_nearest(jobs: Any, server: Server, name: str, state: S) -> None:
    bring(server, name, state)
    assert jobs.get(name=name).execute()["state"] == SHOWN[state]


def test_every_state_is_mapped(client: Any) -> None:
    schema = client._rootDesc["schemas"]["GoogleCloudDatalabelingV1beta1EvaluationJob"]
    assert {*SHOWN.values()} == {*schema["properties"]["state"]["enum"]} - {"STATE_UNSPECIFIED"}


def test_a_job_is_paused_and_resumed_and_nothing_happens_twice(
    jobs: Any, server: Server, name: str
) -> None:
    def ask(verb: str) -> str:
        assert getattr(jobs, verb)(name=name, body={}).execute() == {}
        return state(jobs, name)

    assert ask("resume") == "SCHEDULED"
    tell(server, name, "started")
    assert ask("resume") == "RUNNING"
    assert ask("pause") == "PAUSED"
    assert ask("pause") == "PAUSED"
    assert ask("resume") == "SCHEDULED"
    assert ask("pause") == "PAUSED"
    assert jobs.resume(name=name).execute() == {}  # Without a body, too.
    events = [event.type for event in server.ledger.history(name)]
    assert events == ["Created", "Started", "Paused", "Resumed", "Paused", "Resumed"]


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["pause", "resume"])
@EVERY_STATE
def test_a_job_that_is_stopped_is_neither_paused_nor_resumed(
    jobs: Any, server: Server, name: str, verb: str, state: S
) -> None:
    bring(server, name, state)
    request = getattr(jobs, verb)(name=name, body={})
    if SHOWN[state] == "STOPPED" or (verb, state) == ("pause", S.UPDATING):
        refused = refusal_of(request)
        assert refused[:3] == (400, "FAILED_PRECONDITION", "ILLEGAL_TRANSITION")
    else:
        assert request.execute() == {}


@pytest.mark.slow
@EVERY_STATE
def test_a_job_is_deleted_in_any_state(jobs: Any, server: Server, name: str, state: S) -> None:
    bring(server, name, state)
    assert jobs.delete(name=name).execute() == {}
    for request in (jobs.get(name=name), jobs.delete(name=name), jobs.resume(name=name, body={})):
        assert refusal_of(request)[:2] == (404, "NOT_FOUND")


def test_a_deleted_job_was_stopped_the_moment_before(
    jobs: Any, server: Server, name: str, parent: str
) -> None:
    tell(server, name, "started")
    jobs.delete(name=name).execute()
    stopped, deleted = server.ledger.history(name)[-2:]
    assert (stopped.type, deleted.type) == ("Stopped", "Deleted")
    with server.client() as http:
        then = {"readTime": f"@{stopped.position}"}
        assert http.get(f"/v1beta1/{name}", params=then).json()["state"] == "STOPPED"
        listed = http.get(f"/v1beta1/{parent}/evaluationJobs", params=then).json()
        assert [job["state"] for job in listed["evaluationJobs"]] == ["STOPPED"]
        then = {"readTime": f"@{deleted.position}"}
        assert http.get(f"/v1beta1/{name}", params=then).status_code == 404
        assert http.get(f"/v1beta1/{parent}/evaluationJobs", params=then).json() == {}


def test_attempts_that_workers_reported_in_the_output_are_still_shown(
    jobs: Any, server: Server, name: str
) -> None:
    attempts = [
        {"attemptTime": "2026-01-31T12:00:00Z", "partialFailures": [{"code": 5, "message": "no"}]}
    ]
    tell(server, name, "started")
    report = ProgressReported(output={"attempts": attempts, "state": "PAUSED"})
    server.ledger.append_many([Event(name, 3, report, datetime.now(UTC))])
    shown = jobs.get(name=name).execute()
    assert (shown["attempts"], shown["state"]) == (attempts, "RUNNING")
