"""Google's own clients on a test server, and the reports that lead to each state."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import httpx
import pytest
from google.auth.credentials import AnonymousCredentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from jobledger.domain.states import JobState as S

from tests.servers import Server

REACHED: Mapping[S, list[tuple[str, dict[str, Any]]]] = {
    S.QUEUED: [("queued", {})],
    S.PENDING: [("preparing", {})],
    S.RUNNING: [("started", {})],
    S.SUCCEEDED: [("started", {}), ("succeeded", {})],
    S.FAILED: [("started", {}), ("failed", {"error": {"code": 8, "message": "out of memory"}})],
    S.CANCELLING: [("started", {}), ("cancelling", {"reason": "too dear"})],
    S.CANCELLED: [("started", {}), ("cancelled", {"reason": "too dear"})],
    S.PAUSED: [("started", {}), ("paused", {})],
    S.EXPIRED: [("started", {}), ("expired", {"reason": "it took too long"})],
    S.UPDATING: [("started", {}), ("updating", {})],
    S.PARTIALLY_SUCCEEDED: [("started", {}), ("partiallySucceeded", {})],
}
"""The reports after which a new job is in each state."""
EVERY_STATE = pytest.mark.parametrize("state", S, ids=lambda state: state.name)
ENDED = {S.SUCCEEDED, S.FAILED, S.CANCELLED, S.EXPIRED, S.PARTIALLY_SUCCEEDED}
WHY = {
    S.FAILED: "out of memory",
    S.CANCELLING: "too dear",
    S.CANCELLED: "too dear",
    S.EXPIRED: "it took too long",
}
"""The reasons in those reports."""
ML_STATES = {
    S.QUEUED: "QUEUED",
    S.PENDING: "PREPARING",
    S.RUNNING: "RUNNING",
    S.SUCCEEDED: "SUCCEEDED",
    S.FAILED: "FAILED",
    S.CANCELLING: "CANCELLING",
    S.CANCELLED: "CANCELLED",
    S.PAUSED: "QUEUED",
    S.EXPIRED: "CANCELLED",
    S.UPDATING: "RUNNING",
    S.PARTIALLY_SUCCEEDED: "SUCCEEDED",
}
"""The nearest states of ml v1."""

LOCATION = "locations/us-central1"
CREATE = {
    "ml": "v1/projects/*/jobs",
    "vertex": f"v1/projects/*/{LOCATION}/customJobs",
    "pipelines": f"v1/projects/*/{LOCATION}/pipelineJobs",
    "labeling": "v1beta1/projects/*/evaluationJobs",
}
"""Where jobs are made; `*` is the project."""


class Refusal(NamedTuple):
    """A refusal by a server."""

    http: int
    status: str
    reason: str
    message: str


@contextmanager
def discovered(api: str, version: str, server: Server) -> Iterator[Any]:
    """The client that Google's discovery document makes of an API."""
    made = build(
        api,
        version,
        credentials=AnonymousCredentials(),
        static_discovery=True,
        client_options={"api_endpoint": server.url},
    )
    with closing(made):
        yield made


def refusal_of(request: Any) -> Refusal:
    """Returns the refusal of a discovery client's request."""
    with pytest.raises(HttpError) as caught:
        request.execute()
    return read_refusal(caught.value.status_code, json.loads(caught.value.content))


def read_refusal(http: int, body: Any) -> Refusal:
    """Checks and returns a google.rpc.Status."""
    assert set(body) == {"error"}
    error = body["error"]
    assert error["code"] == http
    [info] = error["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert info["domain"] == "jobledger"
    assert "Traceback" not in json.dumps(body)
    return Refusal(http, error["status"], info["reason"], error["message"])


def refused(answer: httpx.Response) -> Refusal:
    assert answer.headers["content-type"].startswith("application/json")
    return read_refusal(answer.status_code, answer.json())


def path_of(api: str, project: str) -> str:
    return "/" + CREATE[api].replace("*", project)


def tell(server: Server, name: str, verb: str, **body: Any) -> None:
    """Sends a worker's report on a job."""
    with server.client() as client:
        answer = client.post(f"/ledger/v1/{name}:{verb}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["events"][-1]["type"] != "Contradicted"


def bring(server: Server, name: str, state: S) -> None:
    """Reports on a new job until it is in that state."""
    made = server.ledger.get(name).state
    for verb, expected in REACHED[state] if state is not made else ():
        tell(server, name, verb, **expected)
    assert server.ledger.get(name).state is state
