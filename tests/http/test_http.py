"""The server for any HTTP client: health, errors, and its OpenAPI document."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from jobledger.infra.access.required import REPORTS
from jobledger.infra.http.google_routes import METHODS
from jobledger.infra.http.native.app import create_native
from jobledger.infra.http.native.commands import COMMANDS
from jobledger.infra.serving.context import ServerContext
from schemathesis import openapi
from schemathesis.core.result import Ok

from tests.servers import Server


def refusal(answer: httpx.Response, http: int, status: str, reason: str = "") -> dict[str, Any]:
    """The error an answer holds, in the one shape that all errors have."""
    assert answer.status_code == http, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json().keys() == {"error"}
    error: dict[str, Any] = answer.json()["error"]
    (info,) = error["details"]
    assert (error["code"], error["status"]) == (http, status)
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert info["domain"] == "jobledger"
    assert reason in ("", info["reason"])
    return error


def document(server: Server) -> dict[str, Any]:
    """How the server describes itself."""
    with server.client() as client:
        body: dict[str, Any] = client.get("/openapi.json").raise_for_status().json()
    return body


def operations(body: dict[str, Any]) -> set[tuple[str, str]]:
    """(method, path) of all that a document describes, parameters as `*`."""
    return {
        (method, re.sub(r"\{\w+\}", "*", path))
        for path, methods in body["paths"].items()
        for method in methods
    }


def test_it_is_ready_and_well(server: Server) -> None:
    with server.client() as client:
        assert client.get("/readyz").json() == {"status": "ok"}
        assert client.get("/healthz").json() == {"status": "ok"}
        for probe in ("/healthz", "/readyz"):
            head, got = client.head(probe), client.get(probe)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == str(len(got.content))


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "/openapi.json",
        "/ledger/v1/jobs?asOf=@0",  # An answer about now has its time, which is not always as long.
        "/ledger/v1/projects/p/jobs/none",
        "/v1/projects/{project}/jobs",
        "/v1/nothing",
    ],
)
def test_head_is_answered_as_get_without_a_body(server: Server, project: str, path: str) -> None:
    with server.client() as client:
        got, head = (client.request(each, path.format(project=project)) for each in ("GET", "HEAD"))
        assert got.content
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers["content-length"] == str(len(got.content))


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    ["/", "/nowhere", "/ledger/v1/jobs", "/ledger/v1/projects/p/jobs/a:explode", "/ledger/v2/jobs",
     "/v1/projects/p/jobs", "/v1/", "/v1beta1/nothing", "/ui/projects/p", "/healthz", "/readyz/"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "PROPFIND", "DELETE"])
def test_an_unknown_method_is_refused_with_a_status(server: Server, method: str, path: str) -> None:
    with server.client() as client:
        error = refusal(client.request(method, path), 404, "NOT_FOUND", "UNKNOWN_METHOD")
        assert error["message"] == f"there is no method {method} {path}"


def test_an_invalid_http_method_closes_only_its_connection(server: Server) -> None:
    with server.client() as client:
        assert client.request("BREW", "/ledger/v1/jobs").status_code == 400
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("project", ["p%00", "%00", "%00p"])
def test_a_path_with_a_nul_is_not_found(server: Server, project: str) -> None:
    with server.client() as client:
        for path in (
            f"/v1/projects/{project}/jobs",
            f"/v1/projects/{project}/jobs/x",
            f"/v1/projects/p/locations/{project}/customJobs",
            f"/v1beta1/projects/{project}/evaluationJobs",
        ):
            refusal(client.get(path), 404, "NOT_FOUND", "UNKNOWN_METHOD")
        refusal(client.get(f"/ledger/v1/projects/{project}/jobs/x"), 400, "INVALID_ARGUMENT")


@pytest.mark.slow
def test_its_openapi_document_is_valid_and_all_of_it_can_be_tested(server: Server) -> None:
    schema = openapi.from_dict(document(server))
    schema.validate()
    found = list(schema.get_all_operations())
    assert all(isinstance(operation, Ok) for operation in found)
    assert len(found) == len(operations(document(server)))


def native_routes() -> set[tuple[str, str]]:
    """(method, path) of the native surface, as FastAPI has them; names as `*`."""
    ledger = SimpleNamespace(ledger=SimpleNamespace(reader=SimpleNamespace(pool=None)))
    stub = SimpleNamespace(ledger=ledger, writers=None)
    app = create_native(cast("ServerContext", stub))
    return {
        (method.lower(), re.sub(r"\{\w+(:path)?\}", "*", str(route.path)))
        for route in iter_route_contexts(app.routes)
        if isinstance(route.route, APIRoute)
        for method in route.methods or ()
    }


@pytest.mark.slow
def test_the_document_names_every_route_and_no_other(server: Server) -> None:
    google = {(method.http.lower(), f"/{method.shape}") for method in METHODS.all}
    assert operations(document(server)) == native_routes() | google
    verbs = {path.rpartition(":")[2] for _, path in native_routes() if "/*:" in path}
    sampling = {"recordPredictions", "recordTruths"}
    labeling = {"answer", "export", "import"}
    kept = {"hold", "release"}
    others = {"heartbeat", "receipt", "tree"}
    assert verbs == {*COMMANDS, *REPORTS, *sampling, *labeling, *kept, *others}


def test_every_operation_says_what_it_is_and_what_an_error_looks_like(server: Server) -> None:
    body = document(server)
    ids = []
    for methods in body["paths"].values():
        for operation in methods.values():
            ids.append(operation["operationId"])
            assert operation["tags"]
            assert operation.get("summary") or operation.get("description")
            error = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert error == {"$ref": "#/components/schemas/ErrorJson"}
            [answered] = operation["responses"]["200"]["content"].values()
            assert answered["schema"], operation["operationId"]
    assert len(ids) == len(set(ids))
    stream = body["paths"]["/ledger/v1/events:stream"]["get"]["responses"]["200"]
    assert "text/event-stream" in stream["content"]
