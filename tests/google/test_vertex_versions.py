"""Vertex AI v1beta1 and v1beta beside v1: the same jobs, each version's own fields, methods and types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import httpx
import pytest
from jobledger.infra.google.vertex.methods import METHODS
from jobledger.infra.google.vertex.resources import RESOURCES
from jobledger.infra.google.vertex.versions import V1, V1BETA1
from jobledger.infra.google.wire.calls import AS_OF

from tests.clients import LOCATION, discovered, tell
from tests.servers import Server

BETA = ["v1beta1", "v1beta"]


def documented(version: str) -> Iterator[tuple[str, str, str, frozenset[str]]]:
    """Every method of the job resources in Google's discovery document: name, HTTP method, shape, query."""
    documents = resources.files("googleapiclient") / "discovery_cache" / "documents"
    document = json.loads((documents / f"aiplatform.{version}.json").read_bytes())
    locations = document["resources"]["projects"]["resources"]["locations"]["resources"]
    for collection in [*RESOURCES, "operations"]:
        yield from _methods(locations[collection])


def _methods(resource: Any) -> Iterator[tuple[str, str, str, frozenset[str]]]:
    for method in resource.get("methods", {}).values():
        query = {n for n, p in method["parameters"].items() if p["location"] == "query"}
        path = method["flatPath"]
        parts = path.split("/")
        shape = "/".join("*" + p[p.index("}") + 1 :] if p.startswith("{") else p for p in parts)
        yield method["id"], method["httpMethod"], shape, frozenset(query)
    for below in resource.get("resources", {}).values():
        yield from _methods(below)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_the_methods_are_those_of_the_discovery_document(version: str) -> None:
    served = {
        (m.http, m.shape): (m.name, m.query - AS_OF)
        for m in METHODS.all
        if m.shape.startswith(f"{version}/")
    }
    wanted = {(http, shape): (name, query) for name, http, shape, query in documented(version)}
    missing = {key: wanted[key] for key in wanted.keys() - served.keys()}
    assert missing == {}
    # Some collections lack a list of operations in one version; serving more is harmless.
    assert all("/operations" in shape for _, shape in served.keys() - wanted.keys())
    for key, (name, query) in wanted.items():
        found_name, found_query = served[key]
        assert found_query == query, key
        assert name.endswith(found_name), key


def test_v1beta_is_v1beta1_under_another_path() -> None:
    def shapes(path: str) -> set[tuple[str, str]]:
        served = (m for m in METHODS.all if m.shape.startswith(f"{path}/"))
        return {(m.http, m.shape.removeprefix(path)) for m in served}

    assert shapes("v1beta") == shapes("v1beta1")


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.mark.parametrize("version", BETA)
def test_a_job_is_the_same_in_every_version_but_for_each_ones_own_fields(
    http: httpx.Client, project: str, version: str
) -> None:
    parent = f"projects/{project}/{LOCATION}"
    specs: Any = {
        "jobSpec": {
            "workerPoolSpecs": [{"machineSpec": {"machineType": "n1", "gpuPartitionSize": "1g"}}]
        }
    }
    own = V1BETA1.api.fields("MachineSpec").keys() - V1.api.fields("MachineSpec").keys()
    assert "gpuPartitionSize" in V1BETA1.api.fields("MachineSpec")
    body = {"displayName": "b", **specs}
    name = http.post(f"/{version}/{parent}/customJobs", json=body).json()["name"]
    shown = {v: http.get(f"/{v}/{name}").json() for v in ("v1", *BETA)}
    assert shown["v1beta1"] == shown["v1beta"]
    assert shown["v1beta1"]["jobSpec"] == specs["jobSpec"]
    machine = shown["v1"]["jobSpec"]["workerPoolSpecs"][0]["machineSpec"]
    assert machine == {
        k: v
        for k, v in specs["jobSpec"]["workerPoolSpecs"][0]["machineSpec"].items()
        if k not in own
    }
    without = {v: {k: x for k, x in job.items() if k != "jobSpec"} for v, job in shown.items()}
    assert without["v1"] == without["v1beta1"]
    assert http.get(f"/v1/{parent}/customJobs").json()["customJobs"] == [shown["v1"]]


def test_v1_does_not_show_fields_of_v1beta1(http: httpx.Client, project: str) -> None:
    parent = f"projects/{project}/{LOCATION}"
    distillation = {"baseTeacherModel": "gemini", "trainingDatasetUri": "gs://b/t"}
    body = {"baseModel": "small", "distillationSpec": distillation}
    refused = http.post(f"/v1/{parent}/tuningJobs", json=body)
    assert refused.status_code == 400
    made = http.post(f"/v1beta1/{parent}/tuningJobs", json=body).json()
    assert made["distillationSpec"] == distillation
    seen = http.get(f"/v1/{made['name']}").json()
    assert seen == {k: v for k, v in made.items() if k != "distillationSpec"}


@pytest.mark.parametrize("version", BETA)
def test_operations_of_v1beta1_have_its_types_wherever_they_are_polled(
    http: httpx.Client, project: str, version: str
) -> None:
    parent = f"projects/{project}/{LOCATION}"
    job = {"displayName": "m", "endpoint": f"{parent}/endpoints/1"}
    name = http.post(f"/v1/{parent}/modelDeploymentMonitoringJobs", json=job).json()["name"]
    http.post(f"/ledger/v1/{name}:started", json={})
    query = {"updateMask": "displayName"}
    changing = http.patch(f"/{version}/{name}", params=query, json={"displayName": "n"}).json()
    assert changing["done"] is False
    http.post(f"/ledger/v1/{name}:updated", json={})
    for prefix in ("v1", "ui", *BETA):
        polled = http.get(f"/{prefix}/{changing['name']}").json()
        assert polled["done"] is True
        for part in ("metadata", "response"):
            assert polled[part]["@type"].startswith(
                "type.googleapis.com/google.cloud.aiplatform.v1beta1."
            )
    of_v1 = changing["name"].partition("-v1beta1")[0]
    assert (
        http.get(f"/v1/{of_v1}")
        .json()["response"]["@type"]
        .startswith("type.googleapis.com/google.cloud.aiplatform.v1.")
    )


@pytest.mark.slow
def test_googles_beta_clients_bring_a_job_through_its_life(server: Server, project: str) -> None:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform_v1beta1 as beta

    parent = f"projects/{project}/{LOCATION}"
    with beta.JobServiceClient(
        transport="rest",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": server.url},
    ) as client:
        name = client.create_custom_job(parent=parent, custom_job={"display_name": "b"}).name
        tell(server, name, "started")
        client.cancel_custom_job(name=name)
        tell(server, name, "cancelled")
        deleting = client.delete_custom_job(name=name)
        assert type(deleting.result(timeout=60)).__name__ == "Empty"
        client.transport.operations_client.transport._session.close()
    with discovered("aiplatform", "v1beta1", server) as made:
        jobs = made.projects().locations().notebookExecutionJobs()
        begun = jobs.create(parent=parent, notebookExecutionJobId="mine", body={}).execute()
        assert begun["response"]["name"] == f"{parent}/notebookExecutionJobs/mine"
        listed = made.projects().locations().operations().list(name=parent).execute()
        assert len(listed["operations"]) == 2
