"""Malformed requests to Google's APIs: always a Status, and never a partial write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest
from jobledger.infra.upkeep.verify import verify

from tests.clients import LOCATION, Refusal, path_of, read_refusal, refused
from tests.evaluation_jobs import spec_of
from tests.servers import Server

LONG = "x" * 10_000


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_fails(server: Server) -> Iterator[None]:
    """Fails if the log has an internal error."""
    logged = len(server.logs)
    yield
    assert not [line for line in server.logs[logged:] if line.get("message") == "failed"]


def ask(server: Server, method: str, path: str, body: str | None = None) -> Refusal:
    """Returns the refusal of a path that is sent unchanged; httpx would normalize it."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return read_refusal(answer.status, json.loads(answer.read()))
    finally:
        connection.close()


def job(http: httpx.Client, project: str, job_id: str = "j") -> str:
    """The path of a job that was just made."""
    answer = http.post(path_of("ml", project), json={"jobId": job_id})
    assert answer.status_code == 200
    return f"{path_of('ml', project)}/{job_id}"


# Paths


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1"), ("GET", "/v1/"), ("GET", "/v1//"), ("GET", "/v1/projects"), ("GET", "/v1/projects/p"),
        ("GET", "/v2/projects/p/jobs"), ("GET", "/v1beta1/projects/p/jobs"), ("GET", "/ui/projects/p/jobs/j"),
        ("GET", "/v1/projects/p/evaluationJobs"), ("GET", f"/v1alpha/projects/p/{LOCATION}/customJobs"),
        ("GET", "/v1/projects/p/customJobs"), ("GET", f"/v1/projects/p/{LOCATION}/jobs"),
        ("POST", "/v1/projects/p/jobs/j:explode"), ("POST", "/v1/projects/p/jobs/j:"), ("POST", "/v1/projects/p/jobs:cancel"),
        ("GET", "/v1/projects/p/jobs/j:cancel"), ("DELETE", "/v1/projects/p/jobs/j"), ("PUT", "/v1/projects/p/jobs/j"),
        ("POST", f"/v1/projects/p/{LOCATION}/customJobs/1:pause"), ("OPTIONS", "/v1/projects/p/jobs"),
        ("GET", "/v1/projects//jobs/j"), ("GET", "/v1/projects/p/jobs//"), ("GET", "/v1/projects/p/jobs/j/"),
        ("GET", "/v1/projects/p/jobs/a/b"), ("GET", "/v1/projects/p/jobs/a%2Fb"), ("GET", "/v1/projects/p/jobs/a%00b"),
        ("GET", "/v1/projects/p%2Flocations%2Fl/jobs/j"), ("GET", "/v1/projects/p/locations/l%2FcustomJobs/1"),
        ("GET", "/v1" + "/a" * 1_000), ("GET", "/v1/projects/p/jobs/j/extra/x"), ("GET", "/V1/projects/p/jobs/j"),
        ("GET", "/v1/Projects/p/jobs/j"), ("GET", "/v1/../v1/projects/p/jobs"), ("GET", f"/v1/{LONG}"),
        ("POST", "/v1/projects/p/jobs/j%3Acancel"),
        ("POST", f"/v1/projects/p/{LOCATION}/pipelineJobs:batchExplode"), ("GET", "/v1/projects/%/jobs//x"),
        ("GET", f"/v1/projects/p/{LOCATION}/batchPredictionJobs/1/operations/2"), ("GET", "/ledger/v1"),
    ],
)  # fmt: skip
def test_an_unknown_path_is_not_found(server: Server, method: str, path: str) -> None:
    answer = ask(server, method, path)
    assert answer[:3] == (404, "NOT_FOUND", "UNKNOWN_METHOD")
    assert len(answer.message) < 300


ODD = [LONG, "..", ".", "%2e%2e", "%20", "a%20b", "%C3%A9", "%ff", "%", "%zz", "-", "a%0Ab", "%25", "a;b", "a,b", "*", "a'b", "j:cancel",
       "a%22%20OR%201=1", "_a", "@", "a" * 129, "%E2%80%AE"]  # fmt: skip
"""Ids as they stand in a path."""


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:16])
def test_an_odd_id_is_not_found(server: Server, project: str, odd: str) -> None:
    before = server.ledger.size()
    for prefix, verb in (
        (f"/v1/projects/{project}/jobs", ":cancel"),
        (f"/v1/projects/{project}/{LOCATION}/customJobs", ":cancel"),
        (f"/v1beta1/projects/{project}/evaluationJobs", ":pause"),
    ):
        for method, path in (("GET", f"{prefix}/{odd}"), ("POST", f"{prefix}/{odd}{verb}")):
            answer = ask(server, method, path)
            assert answer.status in {"INVALID_ARGUMENT", "NOT_FOUND"}
            assert len(answer.message) < 400
    assert server.ledger.size() == before


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:16])
def test_creation_in_an_invalid_project_or_location_is_refused(server: Server, odd: str) -> None:
    before = server.ledger.size()
    for path, body in (
        (f"/v1/projects/{odd}/jobs", {"jobId": "j"}),
        (f"/v1/projects/{odd}/{LOCATION}/customJobs", {}),
        (f"/v1/projects/p/locations/{odd}/customJobs", {}),
        (f"/v1beta1/projects/{odd}/evaluationJobs", {"job": {"modelVersion": "projects/p/models/m/versions/odd"}}),
    ):  # fmt: skip
        answer = ask(server, "POST", path, json.dumps(body))
        assert answer[:2] == (400, "INVALID_ARGUMENT")
    assert server.ledger.size() == before


# Parameters


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "field"),
    [("colour=red", "colour"), ("asOf=v1", "asOf"), ("orderBy=createTime", "orderBy"), ("alt=proto", "alt"), ("alt=media", "alt"),
     ("$alt=json;enum-encoding=string", "$alt"), ("pageSize=-1", "pageSize"), ("pageSize=1e3", "pageSize"), ("pageSize=99999999999", "pageSize"),
     ("pageSize=a", "pageSize"), ("fields=jobs(", "fields"), ("fields=" + "a/" * 4_000, "fields"), ("filter=%ff", "query"),
     ("filter=a&filter=b", "filter"), ("pageSize=1&page_size=2", "pageSize"),
     ("&".join(f"key={n}" for n in range(101)), "query"), ("filter=" + "(" * 2_000, "filter"), ("filter=" + "NOT+" * 1_000, "filter"),
     ("filter=" + "-" * 4_000, "filter"), ("filter=" + "a" * 5_000, "filter"), ("filter=%00", "filter"), ("readTime=soon", "readTime"),
     (f"{LONG}=1", LONG[:80])],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_a_parameter_that_is_wrong_is_named(
    http: httpx.Client, project: str, query: str, field: str
) -> None:
    answer = refused(http.get(f"{path_of('ml', project)}?{query}"))
    assert answer[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert answer.message.startswith(f"{field}: ")


def test_parameters_that_any_method_may_carry_are_ignored(http: httpx.Client, project: str) -> None:
    path = job(http, project)
    plain = http.get(path).json()
    for query in ("alt=json", "$alt=json;enum-encoding=int", "prettyPrint=false", "key=K", "quotaUser=q", "$.xgafv=2",
                  "access_token=t", "oauth_token=t", "callback=f", "uploadType=media", "upload_protocol=raw"):  # fmt: skip
        assert http.get(f"{path}?{query}").json() == plain
    assert http.get(f"{path_of('ml', project)}?pageSize=1000000000").status_code == 200


def test_a_token_of_another_list_is_refused(http: httpx.Client, project: str) -> None:
    for id_ in ("a", "b"):
        for api, body in (("ml", {"jobId": id_}), ("vertex", {}), ("labeling", {"job": spec_of()})):
            http.post(path_of(api, project), json=body)
    tokens = {}
    for api in ("ml", "vertex", "labeling"):
        page = http.get(path_of(api, project), params={"pageSize": 1}).json()
        tokens[api] = page["nextPageToken"]
    for api, token in tokens.items():
        for path in (path_of(other, project) for other in tokens if other != api):
            assert refused(http.get(path, params={"pageToken": token}))[0] == 400
        path = path_of(api, f"{project}x")
        assert refused(http.get(path, params={"pageToken": token}))[0] == 400
        assert http.get(path_of(api, project), params={"pageToken": token}).status_code == 200


@pytest.mark.slow
def test_a_filter_as_long_as_may_be_is_answered_soon(
    http: httpx.Client, server: Server, project: str
) -> None:
    for n in range(50):
        server.ledger.create(f"projects/{project}/jobs/j{n}", {"a": "b"})
    for bomb in (
        " ".join(["jobId:*j*"] * 400),
        " OR ".join(["labels.a:*b*"] * 250),
        " ".join(f"(state:* OR jobId=j{n})" for n in range(150)),
        "NOT (" * 49 + "jobId=j1" + ")" * 49,
        " OR ".join(["ever(state=QUEUED)"] * 100),
    ):
        assert len(bomb) <= 4096
        answer = http.get(path_of("ml", project), params={"filter": bomb}, timeout=10)
        assert answer.status_code == 200
        assert answer.json().get("jobs", []) != []


# Methods by another name


def test_a_method_may_be_overridden(http: httpx.Client, project: str) -> None:
    path = job(http, project)

    def send(override: str, **sent: Any) -> httpx.Response:
        return http.post(path, headers={"X-HTTP-Method-Override": override}, **sent)

    assert send("GET").json()["jobId"] == "j"
    assert send("get", data={"fields": "state"}).json() == {"state": "QUEUED"}
    patched = send("PATCH", json={"labels": {"x": "y"}})
    assert patched.json()["labels"] == {"x": "y"}
    assert refused(send("DELETE"))[:3] == (404, "NOT_FOUND", "UNKNOWN_METHOD")
    for override in ("BREW", "POST;", "GET,PATCH", LONG):
        assert refused(send(override))[:2] == (400, "INVALID_ARGUMENT")
    # Only a POST is another method than it says.
    shown = http.get(path, headers={"X-HTTP-Method-Override": "DELETE"})
    assert shown.json()["labels"] == {"x": "y"}


def test_a_deletion_may_be_sent_as_a_post(http: httpx.Client, project: str) -> None:
    made = http.post(path_of("vertex", project), json={}).json()["name"]
    http.post(f"/v1/{made}:cancel")
    done = http.post(f"/v1/{made}", headers={"X-HTTP-Method-Override": "DELETE"}).json()
    assert done["done"]
    assert refused(http.get(f"/v1/{made}"))[0] == 404


# Many at once


@pytest.mark.slow
@pytest.mark.parametrize("api", ["ml", "pipelines", "labeling"])
def test_one_of_many_concurrent_creations_succeeds(
    http: httpx.Client, server: Server, project: str, api: str
) -> None:
    before = server.ledger.size()
    for n in range(10):
        path, body = path_of(api, project), {
            "ml": {"jobId": f"j{n}"},
            "pipelines": {},
            "labeling": {"job": spec_of() | {"modelVersion": f"projects/{project}/models/m/versions/{n}"}},
        }[api]  # fmt: skip
        query = {"pipelineJobId": f"p{n}"} if api == "pipelines" else {}
        with ThreadPoolExecutor(8) as threads:
            sent = [threads.submit(http.post, path, json=body, params=query) for _ in range(8)]
        answers = [future.result() for future in sent]
        lost = [refused(answer) for answer in answers if answer.status_code != 200]
        assert len(lost) == 7
        assert {answer[:3] for answer in lost} == {(409, "ALREADY_EXISTS", "JOB_EXISTS")}
    assert server.ledger.size() == before + 10


@pytest.mark.slow
def test_one_of_many_concurrent_patches_with_one_etag_succeeds(
    http: httpx.Client, server: Server, project: str
) -> None:
    path = job(http, project)
    for n in range(5):
        etag = http.get(path).json()["etag"]

        def patch(who: int, etag: str = etag, n: int = n) -> httpx.Response:
            body = {"labels": {"who": f"{n}-{who}"}, "etag": etag}
            return http.patch(path, params={"updateMask": "labels,etag"}, json=body)

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(patch, range(8)))
        [won] = [answer.json() for answer in answers if answer.status_code == 200]
        lost = {refused(answer)[:2] for answer in answers if answer.status_code != 200}
        assert lost == {(409, "ABORTED")}
        assert http.get(path).json()["labels"] == won["labels"]
    assert len(server.ledger.history(f"projects/{project}/jobs/j")) == 6


@pytest.mark.slow
def test_after_all_requests_the_rows_equal_a_fold_of_the_events(server: Server) -> None:
    """Of all jobs that any test made on this server so far, but for evaluations that tests wrote by hand."""
    with server.ledger.connection() as connection:
        findings = verify(connection).findings
    assert [each for each in findings if not each.detail.startswith("the evaluations of run")] == []
