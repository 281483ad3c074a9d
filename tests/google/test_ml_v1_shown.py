"""How the ledger's jobs look in AI Platform ml v1: every state, and every field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jobledger.domain.states import JobState as S

from tests.clients import ENDED, EVERY_STATE, ML_STATES, WHY, bring, discovered, refusal_of, tell
from tests.servers import Server

STARTED = set(S) - {S.QUEUED, S.PENDING}
ALONE = [{"modelName", "versionName", "uri"}, {"trainingInput", "predictionInput"}]
"""Fields of which only one can be set."""


@pytest.fixture(scope="module")
def ml(server: Server) -> Iterator[Any]:
    with discovered("ml", "v1", server) as made:
        yield made


@pytest.fixture(scope="module")
def jobs(ml: Any) -> Any:
    return ml.projects().jobs()


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}"


@pytest.fixture
def name(jobs: Any, parent: str) -> str:
    """A job that was just made."""
    jobs.create(parent=parent, body={"jobId": "train_1", "labels": {"a": "b"}}).execute()
    return f"{parent}/jobs/train_1"


def filled(schemas: Any, type_: Any, name: str = "") -> Any:
    """Returns a value of a discovery document's type with every possible field set."""
    if "$ref" in type_:
        fields = schemas[type_["$ref"]]["properties"]
        left_out = {f for group in ALONE for f in sorted(group & fields.keys())[1:]}
        return {f: filled(schemas, t, f) for f, t in fields.items() if f not in left_out}
    if "enum" in type_:
        return type_["enum"][-1]
    match type_["type"], type_.get("format"):
        case "array", _:
            return [filled(schemas, type_["items"])]
        case "object", _:
            return {"some_key": filled(schemas, type_["additionalProperties"])}
        case "boolean", _:
            return True
        case "integer", _:
            return 3
        case "number", _:
            return 1.5
        case _, "int64":
            return "4000000000"
        case _, "google-duration":
            return "3600s"
        case _, "google-datetime":
            return "2026-01-31T12:00:00Z"
    return f"some {name}"


# What is shown


def test_given_fields_are_shown_unchanged(ml: Any, jobs: Any, parent: str) -> None:
    schemas = ml._rootDesc["schemas"]
    for field in ("trainingInput", "predictionInput"):
        given = filled(schemas, {"$ref": f"GoogleCloudMlV1__{field[0].upper()}{field[1:]}"})
        made = jobs.create(parent=parent, body={"jobId": field, field: given}).execute()
        assert made[field] == given
        assert jobs.get(name=f"{parent}/jobs/{field}").execute()[field] == given


@pytest.mark.slow
@EVERY_STATE
def test_each_state_has_its_nearest_in_ml(server: Server, jobs: Any, name: str, state: S) -> None:
    bring(server, name, state)
    shown = jobs.get(name=name).execute()
    assert shown["state"] == ML_STATES[state]
    assert shown.get("errorMessage") == WHY.get(state)
    assert ("startTime" in shown) is (state in STARTED)
    assert ("endTime" in shown) is (state in ENDED)
    assert ("jobPosition" in shown) is (state is S.QUEUED)


def test_every_state_is_mapped(ml: Any) -> None:
    states = ml._rootDesc["schemas"]["GoogleCloudMlV1__Job"]["properties"]["state"]["enum"]
    assert {*ML_STATES.values()} == {*states} - {"STATE_UNSPECIFIED"}


def test_every_field_is_mapped(ml: Any, server: Server, jobs: Any, parent: str) -> None:
    outputs = {"trainingInput": {"trainingOutput": {"trials": [{"trialId": "1"}]}},
               "predictionInput": {"predictionOutput": {"errorCount": "3"}}}  # fmt: skip
    seen = set[str]()
    for field, output in outputs.items():
        name = f"{parent}/jobs/{field}"
        body = {"jobId": field, "labels": {"a": "b"}, field: {"region": "r"}}
        jobs.create(parent=parent, body=body).execute()
        seen |= jobs.get(name=name).execute().keys()
        tell(server, name, "started")
        tell(server, name, "progressReported", output=output)
        tell(server, name, "failed", error="no")
        seen |= jobs.get(name=name).execute().keys()
    assert seen == ml._rootDesc["schemas"]["GoogleCloudMlV1__Job"]["properties"].keys()


def test_the_reported_output_is_shown(ml: Any, server: Server, jobs: Any, parent: str) -> None:
    schemas = ml._rootDesc["schemas"]
    for kind in ("training", "prediction"):
        jobs.create(parent=parent, body={"jobId": kind, f"{kind}Input": {"region": "r"}}).execute()
        output = filled(schemas, {"$ref": f"GoogleCloudMlV1__{kind.title()}Output"})
        name = f"{parent}/jobs/{kind}"
        tell(server, name, "started")
        tell(server, name, "succeeded", output={f"{kind}Output": output})
        assert jobs.get(name=name).execute()[f"{kind}Output"] == output


def test_an_output_is_shown_as_what_the_input_was_for(
    server: Server, jobs: Any, parent: str
) -> None:
    body = {"jobId": "j", "predictionInput": {"region": "r"}}
    jobs.create(parent=parent, body=body).execute()
    tell(server, f"{parent}/jobs/j", "started")
    tell(server, f"{parent}/jobs/j", "succeeded", output={"outputPath": "gs://b", "also": 1})
    shown = jobs.get(name=f"{parent}/jobs/j").execute()
    assert shown["predictionOutput"] == {"outputPath": "gs://b"}
    assert "trainingOutput" not in shown


def test_fields_selects_what_is_answered(jobs: Any, name: str, parent: str) -> None:
    shown = jobs.get(name=name, fields="jobId,labels/a").execute()
    assert shown == {"jobId": "train_1", "labels": {"a": "b"}}
    listed = jobs.list(parent=parent, fields="jobs(jobId,state),nextPageToken").execute()
    assert listed == {"jobs": [{"jobId": "train_1", "state": "QUEUED"}]}
    jobs.patch(name=name, body={"labels": {"my_key": "a", "my-key": "b"}}).execute()
    shown = jobs.get(name=name, fields="labels(my_key,my-key)").execute()
    assert shown == {"labels": {"my_key": "a", "my-key": "b"}}
    assert refusal_of(jobs.get(name=name, fields="jobs("))[:2] == (400, "INVALID_ARGUMENT")


def test_a_get_whose_address_is_too_long_is_sent_as_a_post(
    jobs: Any, name: str, parent: str
) -> None:
    of_many = " OR ".join(f'jobId="another_{n}"' for n in range(130)) + ' OR jobId="train_1"'
    request = jobs.list(parent=parent, filter=of_many)
    assert len(request.uri) > 2048
    assert [job["jobId"] for job in request.execute()["jobs"]] == ["train_1"]


def test_a_deleted_job_is_gone(server: Server, jobs: Any, name: str, parent: str) -> None:
    """ml v1 deletes no job; the ledger's own surface does."""
    server.ledger.delete(name, stop=True)
    assert refusal_of(jobs.get(name=name))[:2] == (404, "NOT_FOUND")
    assert jobs.list(parent=parent).execute() == {}
    assert httpx.delete(f"{server.url}/v1/{name}", verify=False).status_code == 404
