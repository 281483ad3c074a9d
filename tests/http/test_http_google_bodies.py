"""Invalid bodies for Google's APIs: refused with the field, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest

from tests.clients import CREATE, path_of, read_refusal, refused
from tests.evaluation_jobs import KEYS, spec_of
from tests.servers import Server

EVERY_API = pytest.mark.parametrize("api", CREATE)
LONG = "x" * 10_000


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client(headers={"content-type": "application/json"}) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_fails(server: Server) -> Iterator[None]:
    """Fails if the log has an internal error."""
    logged = len(server.logs)
    yield
    assert not [line for line in server.logs[logged:] if line.get("message") == "failed"]


@pytest.mark.slow
@EVERY_API
@pytest.mark.parametrize(
    "body",
    [b"{", b"nonsense", b"{'jobId': 'j'}", b"\xff\xfe", b'{"jobId": "j",}', b'{"jobId": NaN}', b"[]", b"[1]", b'"j"', b"1",
     b"null", b"true", b'{"labels": ' * 10_000 + b"}" * 10_000, b"[" * 10_000, b'{"jobId": "\\ud800"}', b"\0",
     b'{"jobId": "j"}{"jobId": "k"}', b"jobId=j"],
    ids=lambda body: body[:16].decode("latin-1"),
)  # fmt: skip
def test_a_body_that_is_not_a_json_object_is_refused(
    http: httpx.Client, server: Server, project: str, api: str, body: bytes
) -> None:
    before = server.ledger.size()
    answer = refused(http.post(path_of(api, project), content=body))
    assert answer[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert answer.message.startswith("body: ")
    assert server.ledger.size() == before


@EVERY_API
def test_a_body_that_is_too_large_is_refused(
    http: httpx.Client, server: Server, project: str, api: str
) -> None:
    before = server.ledger.size()
    large = json.dumps({"labels": {"a": "x" * 5 * 2**20}}).encode()
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.putrequest("POST", path_of(api, project))
        connection.putheader("Content-Length", str(len(large)))
        connection.endheaders()  # What is said of it is enough.
        answer = connection.getresponse()
        body = read_refusal(answer.status, json.loads(answer.read()))
    assert (body.http, body.reason) == (413, "BODY_TOO_LARGE")
    assert server.ledger.size() == before


def test_a_job_that_no_event_can_hold_is_refused(
    http: httpx.Client, server: Server, project: str
) -> None:
    before = server.ledger.size()
    for api, body in (
        ("ml", {"jobId": "j", "trainingInput": {"args": ["x" * 300_000]}}),
        ("vertex", {"jobSpec": {"experiment": "x" * 300_000}}),
        ("labeling", {"job": spec_of(bigqueryImportKeys=KEYS | {"more": "x" * 300_000})}),
    ):
        answer = refused(http.post(path_of(api, project), json=body))
        assert answer[:3] == (400, "INVALID_ARGUMENT", "DATA_TOO_LARGE")
    assert server.ledger.size() == before


def nested(depth: int, inner: Any) -> Any:
    for _ in range(depth):
        inner = {"a": inner}
    return inner


@pytest.mark.slow
@pytest.mark.parametrize(
    ("api", "body", "field"),
    [
        ("ml", {"jobId": "j", "colour": 1}, "colour"),
        ("ml", {"jobId": 1}, "jobId"),
        ("ml", {"jobId": "j", "labels": []}, "labels"),
        ("ml", {"jobId": "j", "labels": {"a": 1}}, "labels.a"),
        ("ml", {"jobId": "j", "labels": {"a b": 1}}, 'labels["a b"]'),
        ("ml", {"jobId": "j", "labels": {"A": "b"}}, "labels"),
        ("ml", {"jobId": "j", "trainingInput": "x"}, "trainingInput"),
        ("ml", {"jobId": "j", "trainingInput": {"workerCount": "many"}}, "trainingInput.workerCount"),
        ("ml", {"jobId": "j", "trainingInput": {"workerCount": 2**63}}, "trainingInput.workerCount"),
        ("ml", {"jobId": "j", "trainingInput": {"args": ["a", 2]}}, "trainingInput.args[1]"),
        ("ml", {"jobId": "j", "trainingInput": {"args": "a"}}, "trainingInput.args"),
        ("ml", {"jobId": "j", "trainingInput": {"scaleTier": "HUGE"}}, "trainingInput.scaleTier"),
        ("ml", {"jobId": "j", "trainingInput": {"scheduling": {"priority": 1.5}}},
         "trainingInput.scheduling.priority"),
        ("ml", {"jobId": "j", "trainingInput": {"scheduling": {"maxRunningTime": "1h"}}},
         "trainingInput.scheduling.maxRunningTime"),
        ("ml", {"jobId": "j", "trainingInput": {"hyperparameters": {"params": [{"minValue": "low"}]}}},
         "trainingInput.hyperparameters.params[0].minValue"),
        ("ml", {"jobId": "j", "trainingInput": {}, "predictionInput": {}}, "predictionInput"),
        ("ml", {"jobId": "j", "job_id": "k"}, "job_id"),
        ("ml", {"jobId": "j", "trainingInput": {"region": "a\0b"}}, "trainingInput.region"),
        ("ml", {"jobId": "j", "etag": "?"}, "etag"),
        ("vertex", {"jobSpec": {"workerPoolSpecs": [{}, {"machineSpec": {"acceleratorType": 99}}]}},
         "jobSpec.workerPoolSpecs[1].machineSpec.acceleratorType"),
        ("vertex", {"displayName": "x" * 129}, "displayName"),
        ("vertex", {"customJob": {}}, "customJob"),
        ("vertex", {"labels": {"a": "x" * 65}}, "labels"),
        ("pipelines", {"pipelineSpec": nested(500, 1)}, "pipelineSpec"),
        ("pipelines", {"runtimeConfig": {"parameterValues": [1]}}, "runtimeConfig.parameterValues"),
        ("labeling", {"job": {"evaluationJobConfig": {"exampleCount": []}}}, "job.evaluationJobConfig.exampleCount"),
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_is_named(
    http: httpx.Client, server: Server, project: str, api: str, body: Any, field: str
) -> None:
    before = server.ledger.size()
    answer = refused(http.post(path_of(api, project), json=body))
    assert answer[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    named = answer.message.partition(": ")[0]
    assert named == field or (field == "pipelineSpec" and named.startswith("pipelineSpec.a.a"))
    assert server.ledger.size() == before


@EVERY_API
def test_a_name_of_a_field_may_be_long_and_odd(http: httpx.Client, project: str, api: str) -> None:
    for key in (LONG, "\u202e", "a.b", "", "__proto__", "\n"):
        answer = refused(http.post(path_of(api, project), json={key: 1}))
        assert answer[:2] == (400, "INVALID_ARGUMENT")
        assert len(answer.message) < 1_000
