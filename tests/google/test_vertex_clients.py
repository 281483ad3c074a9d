"""Vertex AI through Google's other clients: the high-level SDK, Gen AI, and the discovery client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from jobledger.domain.states import JobState as S

from tests.clients import EVERY_STATE, bring, discovered, refusal_of, tell
from tests.servers import Server
from tests.vertex import CUSTOM, Vertex, vertex_of

SLOW = pytest.mark.slow  # The SDK takes seconds to import.
LOCATION = "us-central1"
POOLS = [{"machine_spec": {"machine_type": "n1-standard-4"}, "replica_count": 1,
          "container_spec": {"image_uri": "gcr.io/i"}}]  # fmt: skip


@pytest.fixture(scope="module")
def vertex(server: Server) -> Iterator[Vertex]:
    with vertex_of(server) as clients:
        yield clients


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}/locations/{LOCATION}"


# The high-level SDK


@pytest.fixture
def sdk(server: Server, project: str) -> Any:
    from google.cloud import aiplatform

    aiplatform.init(
        project=project,
        location=LOCATION,
        credentials=AnonymousCredentials(),
        api_endpoint=server.url,
        api_transport="rest",
        staging_bucket="gs://b",
    )
    return aiplatform


def submitted(sdk: Any, name: str = "d") -> Any:
    job = sdk.CustomJob(display_name=name, worker_pool_specs=POOLS, labels={"a": "b"})
    job.submit(timeout=3600)
    return job


@pytest.mark.slow
@SLOW
def test_the_sdk_submits_a_job_watches_it_and_deletes_it(sdk: Any, server: Server) -> None:
    job = submitted(sdk)
    assert job.state.name == "JOB_STATE_QUEUED"
    tell(server, job.resource_name, "started")
    assert job.state.name == "JOB_STATE_RUNNING"
    with pytest.raises(exceptions.BadRequest):
        job.delete()
    tell(server, job.resource_name, "succeeded")
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert job.end_time > job.start_time
    job.delete()
    with pytest.raises(exceptions.NotFound):
        sdk.CustomJob.get(job.resource_name)


@SLOW
def test_the_sdk_cancels_a_job_and_reads_why_it_ended(sdk: Any, server: Server) -> None:
    job = submitted(sdk)
    tell(server, job.resource_name, "started")
    job.cancel()
    assert job.state.name == "JOB_STATE_CANCELLING"
    tell(server, job.resource_name, "cancelled")
    assert job.state.name == "JOB_STATE_CANCELLED"
    assert (job.error.code, job.error.message) == (1, "cancelled on request")


@SLOW
def test_the_sdk_lists_jobs(sdk: Any, server: Server) -> None:
    for name in ("one", "two", "three"):
        bring(server, submitted(sdk, name).resource_name, S.FAILED if name == "two" else S.RUNNING)
    found = sdk.CustomJob.list(filter='state="JOB_STATE_FAILED" AND display_name:"t*"')
    assert [job.display_name for job in found] == ["two"]
    found = sdk.CustomJob.list(filter="labels.a=b", order_by="create_time")
    assert [job.display_name for job in found] == ["one", "two", "three"]
    assert sdk.BatchPredictionJob.list() == []


@SLOW
def test_the_sdk_waits_for_a_job_to_end(sdk: Any, server: Server) -> None:
    job = submitted(sdk)
    bring(server, job.resource_name, S.FAILED)
    with pytest.raises(RuntimeError, match="out of memory"):
        job._block_until_complete()


# Gen AI: its batches are batch prediction jobs


@pytest.fixture
def batches(server: Server, project: str) -> Iterator[Any]:
    from google import genai
    from google.oauth2.credentials import Credentials

    client = genai.Client(
        vertexai=True,
        project=project,
        location=LOCATION,
        credentials=Credentials("token"),
        http_options={"base_url": server.url, "api_version": "v1"},
    )
    with closing(client):
        yield client.batches


def batch_made(batches: Any) -> Any:
    return batches.create(
        model="gemini-2.5-flash",
        src="gs://b/in.jsonl",
        config={"display_name": "d", "dest": "gs://b/out"},
    )


@pytest.mark.slow
def test_gen_ai_makes_a_batch_and_reads_it(batches: Any, server: Server, parent: str) -> None:
    made = batch_made(batches)
    assert made.name.startswith(f"{parent}/batchPredictionJobs/")
    assert (made.state.name, made.display_name) == ("JOB_STATE_QUEUED", "d")
    assert made.model == "publishers/google/models/gemini-2.5-flash"
    assert made.src.gcs_uri == ["gs://b/in.jsonl"]
    assert made.dest.gcs_uri == "gs://b/out"
    bring(server, made.name, S.FAILED)
    shown = batches.get(name=made.name.rpartition("/")[2])
    assert (shown.state.name, shown.error.message) == ("JOB_STATE_FAILED", "out of memory")
    assert shown.end_time > shown.start_time


@pytest.mark.slow
@EVERY_STATE
def test_gen_ai_knows_every_state(batches: Any, server: Server, state: S) -> None:
    name = batch_made(batches).name
    bring(server, name, state)
    assert batches.get(name=name).state.name == f"JOB_STATE_{state.name}"


@pytest.mark.slow
def test_gen_ai_cancels_a_batch_and_deletes_it(batches: Any, server: Server) -> None:
    from google.genai import errors

    name = batch_made(batches).name
    tell(server, name, "started")
    batches.cancel(name=name)
    assert batches.get(name=name).state.name == "JOB_STATE_CANCELLING"
    with pytest.raises(errors.ClientError) as refused:
        batches.delete(name=name)
    assert (refused.value.code, refused.value.status) == (400, "FAILED_PRECONDITION")
    tell(server, name, "cancelled")
    assert batches.delete(name=name).done
    with pytest.raises(errors.ClientError) as gone:
        batches.get(name=name)
    assert (gone.value.code, gone.value.status) == (404, "NOT_FOUND")


@pytest.mark.slow
def test_gen_ai_lists_batches_page_by_page(batches: Any) -> None:
    made = [batch_made(batches).name for _ in range(7)]
    assert [job.name for job in batches.list(config={"page_size": 3})] == made[::-1]
    found = batches.list(config={"filter": 'display_name="other"'})
    assert list(found) == []


# The discovery client


@pytest.fixture(scope="module")
def locations(server: Server) -> Iterator[Any]:
    with discovered("aiplatform", "v1", server) as made:
        yield made.projects().locations()


@pytest.fixture
def custom_jobs(locations: Any) -> Any:
    return locations.customJobs()


def test_the_discovery_client_makes_lists_and_deletes_jobs(
    locations: Any, custom_jobs: Any, parent: str
) -> None:
    body = {"displayName": "d", "jobSpec": {"workerPoolSpecs": [{"replicaCount": "1"}]}}
    made = custom_jobs.create(parent=parent, body=body).execute()
    assert made["state"] == "JOB_STATE_QUEUED"
    assert made["jobSpec"] == body["jobSpec"]
    assert custom_jobs.get(name=made["name"]).execute() == made
    mask = custom_jobs.list(parent=parent, readMask="name,jobSpec.workerPoolSpecs").execute()
    assert mask == {"customJobs": [{"name": made["name"], "jobSpec": body["jobSpec"]}]}
    snake = custom_jobs.list(parent=parent, readMask="display_name").execute()
    assert snake == {"customJobs": [{"displayName": "d"}]}

    assert refusal_of(custom_jobs.delete(name=made["name"]))[:2] == (400, "FAILED_PRECONDITION")
    assert custom_jobs.cancel(name=made["name"]).execute() == {}
    deleting = custom_jobs.delete(name=made["name"]).execute()
    assert deleting["done"]
    assert locations.operations().get(name=deleting["name"]).execute() == deleting
    assert refusal_of(custom_jobs.get(name=made["name"]))[:2] == (404, "NOT_FOUND")
    assert custom_jobs.list(parent=parent).execute() == {}


def test_pages_lead_on_in_the_discovery_client(
    custom_jobs: Any, server: Server, parent: str
) -> None:
    for n in range(25):
        server.ledger.create(f"{parent}/customJobs/{n}")
    request, seen = custom_jobs.list(parent=parent, pageSize=10), list[str]()
    while request is not None:
        page = request.execute()
        seen += [job["name"].rpartition("/")[2] for job in page["customJobs"]]
        request = custom_jobs.list_next(request, page)
    assert seen == [str(n) for n in reversed(range(25))]


# What is on the wire


def test_enums_are_taken_as_numbers_and_given_as_names(vertex: Vertex, parent: str) -> None:
    """Google's Vertex client sends numbers, and asks for them."""
    name = vertex.create(CUSTOM, parent).name
    asked = {"$alt": "json;enum-encoding=int"}
    with vertex.server.client() as http:
        shown = http.get(f"/v1/{name}", params=asked).json()
        spec = {
            "workerPoolSpecs": [{"machineSpec": {"acceleratorType": "5", "acceleratorCount": 3}}]
        }
        sent = http.post(f"/v1/{parent}/customJobs", json={"jobSpec": spec}, params=asked).json()
    assert shown["state"] == "JOB_STATE_QUEUED"
    machine = shown["jobSpec"]["workerPoolSpecs"][0]["machineSpec"]
    assert machine["acceleratorType"] == "NVIDIA_TESLA_T4"
    assert shown["jobSpec"]["scheduling"] == {"timeout": "3600s", "strategy": "SPOT"}
    machine = sent["jobSpec"]["workerPoolSpecs"][0]["machineSpec"]
    assert machine == {"acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 3}


def test_each_refusal_is_the_exception_the_client_has_for_it(vertex: Vertex, parent: str) -> None:
    made = vertex.create(CUSTOM, parent)
    bring(vertex.server, made.name, S.SUCCEEDED)
    spec = {"worker_pool_specs": [{"container_spec": {"image_uri": "x" * 300_000}}]}
    calls: list[tuple[Any, Any, str]] = [
        (lambda: vertex.get(CUSTOM, f"{parent}/customJobs/7"), exceptions.NotFound, "JOB_NOT_FOUND"),
        (lambda: vertex.call("cancel", CUSTOM, name=made.name), exceptions.BadRequest, "ILLEGAL_TRANSITION"),
        (lambda: vertex.create(CUSTOM, parent, display_name="x" * 129), exceptions.BadRequest, "INVALID_FIELD"),
        (lambda: vertex.create(CUSTOM, parent, labels={"A": "b"}), exceptions.BadRequest, "INVALID_FIELD"),
        (lambda: vertex.create(CUSTOM, parent, job_spec=spec), exceptions.BadRequest, "DATA_TOO_LARGE"),
        (lambda: vertex.create(CUSTOM, parent.replace("us-central1", "a b")), exceptions.BadRequest, "INVALID_FIELD"),
    ]  # fmt: skip
    for call, error, reason in calls:
        with pytest.raises(error) as caught:
            call()
        assert type(caught.value) is error
        assert (caught.value.reason, caught.value.domain) == (reason, "jobledger")
        assert caught.value.message


def test_a_detail_that_no_client_knows_does_not_hide_the_job(
    vertex: Vertex, server: Server, parent: str
) -> None:
    jobs = vertex.client(CUSTOM)
    made = jobs.create_batch_prediction_job(
        parent=parent, batch_prediction_job={"display_name": "d"}
    )
    unknown = [
        {"@type": "type.example.com/acme.Odd", "x": 1},
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": 5},
    ]
    failures = [{"code": 3, "message": "bad row", "details": unknown}]
    server.ledger.started(made.name)
    server.ledger.partially_succeeded(made.name, {"partialFailures": failures})
    shown = jobs.get_batch_prediction_job(name=made.name)
    assert [failure.message for failure in shown.partial_failures] == ["bad row"]
