"""OpenLineage's own client, unchanged, against a server; and requests that it does not make."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from jobledger.domain.states import JobState
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.sources.openlineage.event import JobKey
from jobledger.infra.sources.openlineage.history import ledger_name
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    JobEvent,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
)
from openlineage.client.facet_v2 import error_message_run, parent_run
from openlineage.client.uuid import generate_new_uuid

from tests.servers import Server, new_server
from tests.sources.test_forwarder import Receiver, address, receiver
from tests.sources.test_openlineage import event

PRODUCER = "https://example.com/producer"
PROJECT = "mine"
__all__ = ["receiver"]
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def server(dsn: str) -> Iterator[Server]:
    with new_server(dsn) as made:
        yield made


@pytest.fixture(scope="module")
def secrets(server: Server) -> dict[Role, str]:
    tokens = Tokens(server.ledger.pool)
    return {role: tokens.create(f"my-{role}", role, PROJECT) for role in Role}


def emitter(server: Server, secret: str, **transport: Any) -> OpenLineageClient:
    auth = {"type": "api_key", "apiKey": secret}
    config = {"type": "http", "url": server.url, "auth": auth, **transport}
    return OpenLineageClient(config={"transport": config})


def now() -> str:
    return datetime.now(UTC).isoformat()


@pytest.mark.slow
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_its_client_records_a_run(
    server: Server, secrets: dict[Role, str], compression: str | None
) -> None:
    client = emitter(server, secrets[Role.REPORTER], compression=compression)
    run, job = Run(str(generate_new_uuid())), Job("spark", f"orders-{compression}")
    parent = parent_run.ParentRunFacet(
        run=parent_run.Run(str(generate_new_uuid())), job=parent_run.Job("airflow", "nightly")
    )
    boom = error_message_run.ErrorMessageRunFacet("disk full", "scala", "at Main.scala:1")
    orders, daily = InputDataset("pg", "public.orders"), OutputDataset("s3", "daily")

    def emit(state: RunState, inputs: list[Any], outputs: list[Any]) -> None:
        client.emit(
            RunEvent(
                eventTime=now(), producer=PRODUCER, run=run, job=job,
                eventType=state, inputs=inputs, outputs=outputs,
            )
        )  # fmt: skip

    emit(RunState.START, [orders], [])
    run.facets = {"parent": parent}
    emit(RunState.RUNNING, [], [daily])
    run.facets = {"errorMessage": boom}
    emit(RunState.FAIL, [], [])

    name = ledger_name(JobKey("spark", f"orders-{compression}"), PROJECT)
    found = server.ledger.get(name)
    assert (found.state, found.error_message) == (JobState.FAILED, "disk full")
    assert found.run_ids == (run.runId,)
    assert found.output is not None
    assert found.output["inputs"] == [{"namespace": "pg", "name": "public.orders"}]
    assert {each.actor for each in server.ledger.history(name)} == {"my-reporter"}


def test_its_client_records_a_job_without_a_run(server: Server, secrets: dict[Role, str]) -> None:
    client = emitter(server, secrets[Role.REPORTER])
    client.emit(JobEvent(eventTime=now(), producer=PRODUCER, job=Job("dbt", "model.orders")))
    name = ledger_name(JobKey("dbt", "model.orders"), PROJECT)
    assert server.ledger.get(name).state is JobState.QUEUED


def post(server: Server, secret: str, body: Any, path: str = "", **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    expected = {"authorization": f"Bearer {secret}", "content-type": "application/json", **headers}
    with server.client() as client:
        return client.post(f"/api/v1/lineage{path}", content=content, headers=expected)


def test_a_bad_event_of_a_batch_does_not_stop_the_others(
    server: Server, secrets: dict[Role, str]
) -> None:
    good = [event("START", key=JobKey("b", name)) for name in ("one", "two")]
    batch = [good[0], {"eventType": "START"}, good[1], event("START") | {"run": {}}]
    answer = post(server, secrets[Role.REPORTER], batch, "/batch")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "partial_success"
    assert body["summary"] == {
        "received": 4, "successful": 2, "failed": 2, "retriable": 0, "non_retriable": 2,
    }  # fmt: skip
    assert [each["index"] for each in body["failed_events"]] == [1, 3]
    assert "run.runId" in body["failed_events"][1]["reason"]
    for name in ("one", "two"):
        job = server.ledger.get(ledger_name(JobKey("b", name), PROJECT))
        assert job.state is JobState.RUNNING


def test_a_batch_is_recorded_in_the_order_of_its_times(
    server: Server, secrets: dict[Role, str]
) -> None:
    key, run = JobKey("b", "turned"), "12345678-0000-4000-8000-000000000002"
    begun, ended = (event(type_, n, run, key) for n, type_ in enumerate(("START", "COMPLETE")))
    answer = post(server, secrets[Role.REPORTER], [ended, begun], "/batch")
    assert answer.json()["status"] == "success"
    job = server.ledger.get(ledger_name(key, PROJECT))
    assert job.start_time == datetime.fromisoformat(begun["eventTime"])
    assert job.end_time == datetime.fromisoformat(ended["eventTime"])


def test_roles_and_projects(server: Server, secrets: dict[Role, str]) -> None:
    begun = event("START", key=JobKey("roles", "a"))
    assert post(server, secrets[Role.READER], begun).status_code == 403
    assert post(server, "nonsense", begun).status_code == 401
    assert post(server, secrets[Role.REPORTER], begun, "?project=theirs").status_code == 403
    answer = post(server, secrets[Role.REPORTER], begun)
    assert answer.json() == {"job": ledger_name(JobKey("roles", "a"), PROJECT), "events": 2}
    assert post(server, secrets[Role.REPORTER], begun).json()["events"] == 2


def test_an_event_that_comes_again_is_answered_as_before(
    server: Server, secrets: dict[Role, str]
) -> None:
    key, secret = JobKey("again", "a"), secrets[Role.REPORTER]
    sets: dict[str, Any] = {"outputs": [{"namespace": "s3", "name": "daily"}]}
    story = [event("COMPLETE", 9, key=key), event("START", key=key, **sets)]
    written = [post(server, secret, each).json()["events"] for each in story]
    size = server.ledger.size()
    assert [post(server, secret, each).json()["events"] for each in story] == written
    again = post(server, secret, [*story, *story], "/batch").json()
    assert (again["status"], server.ledger.size()) == ("success", size)
    assert server.ledger.get(ledger_name(key, PROJECT)).state is JobState.SUCCEEDED


def test_an_event_that_comes_again_keeps_no_other_back(
    server: Server, secrets: dict[Role, str]
) -> None:
    secret = secrets[Role.REPORTER]
    before, again, after = (event("START", key=JobKey("mixed", name)) for name in "abc")
    assert post(server, secret, again).json()["events"] == 2
    size = server.ledger.size()
    answer = post(server, secret, [before, again, after], "/batch").json()
    assert (answer["status"], server.ledger.size()) == ("success", size + 4)


def test_personal_values_are_encrypted(server: Server, secrets: dict[Role, str]) -> None:
    key = JobKey("personal", "a")
    owner = {"@personal": {"subject": "ann", "value": "ann@example.com"}}
    facets = {"ownership": {"owners": [{"name": owner}]}}
    for _ in range(2):
        answer = post(server, secrets[Role.REPORTER], event("START", key=key, job_facets=facets))
        assert answer.json() == {"job": ledger_name(key, PROJECT), "events": 2}
    stored = b"".join(each.stored for each in server.ledger.history(ledger_name(key, PROJECT)))
    assert b"ann@example.com" not in stored


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{", 400, "not JSON"),
        (b"[]", 400, "not a JSON object"),
        (b'{"eventTime": "2026-11-27T10:00:00Z"}', 400, "job"),
        (gzip.compress(b"{}", mtime=0)[:10], 400, "gzip"),
        (gzip.compress(b"{}", mtime=0) * 2, 400, "one gzip member"),
    ],
)
def test_bad_bodies_are_refused_with_the_reason(
    server: Server, secrets: dict[Role, str], body: bytes, status: int, reason: str
) -> None:
    encoding = {"content-encoding": "gzip"} if "gzip" in reason else {}
    answer = post(server, secrets[Role.REPORTER], body, **encoding)
    assert answer.status_code == status
    assert reason in answer.json()["error"]["message"]


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_an_event_of_20_mb_is_refused_and_the_server_goes_on(
    server: Server, secrets: dict[Role, str], packed: bool
) -> None:
    facets = {"big": {"text": "x" * 20_000_000}}
    body = json.dumps(event("START", run_facets=facets)).encode()
    size = server.ledger.size()
    more = {"content-encoding": "gzip"} if packed else {}
    answer = post(server, secrets[Role.REPORTER], gzip.compress(body) if packed else body, **more)
    assert answer.status_code == 413
    assert server.ledger.size() == size
    with server.client() as client:
        assert client.get("/healthz").status_code == 200


def dataset_event(name: str, **facets: Any) -> dict[str, Any]:
    return {
        "eventTime": now(),
        "producer": PRODUCER,
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/DatasetEvent",
        "dataset": {"namespace": "pg://shop", "name": name, "facets": facets},
    }


@pytest.mark.slow
def test_facts_of_datasets_are_kept_once_and_found(
    server: Server, secrets: dict[Role, str]
) -> None:
    headers = {"authorization": f"Bearer {secrets[Role.REPORTER]}"}
    first = dataset_event("public.Orders", schema={"fields": [{"name": "id"}]})
    second = dataset_event("public.Orders", ownership={"owners": []})
    size = server.ledger.size()
    with server.client(headers=headers) as client:
        for expected in (1, 0):
            done = client.post("/api/v1/lineage", json=first).json()
            assert done["dataset"].startswith(f"datasets/{PROJECT}/")
            assert done["events"] == expected
        batch = [second, second, dataset_event("public.customers"), event("START")]
        done = client.post("/api/v1/lineage/batch", json=batch).json()
        assert done["summary"]["successful"] == 4
        answer = client.get("/api/v1/lineage/datasets", params={"q": "orders"})
        assert answer.status_code == 200, answer.text
        found = answer.json()["datasets"]
        assert [(each["name"], each["version"], each["facets"]) for each in found] == [
            ("public.Orders", 2, {"ownership": {"owners": []}})
        ]
        both = client.get("/api/v1/lineage/datasets").json()["datasets"]
        assert [each["name"] for each in both] == ["public.Orders", "public.customers"]
        other = client.get("/api/v1/lineage/datasets", params={"project": "other"})
        assert other.status_code == 403
    assert server.ledger.size() == size + 3 + 2
    assert not any("Orders" in job.name for job in server.ledger.list())


@pytest.mark.slow
def test_accepted_events_are_sent_on_unchanged(
    dsn: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBLEDGER_LINEAGE_FORWARD_URL", address(receiver))
    monkeypatch.setenv("JOBLEDGER_LINEAGE_FORWARD_KEY", "the-other-key")
    body = json.dumps(event("START"), indent=2).encode()
    with new_server(dsn) as server, server.client() as client:
        assert client.post("/api/v1/lineage", content=body, headers=JSON).status_code == 200
        assert client.post("/api/v1/lineage", json={"eventTime": now()}).status_code == 400
        batch = [event("RUNNING", 5), {"job": 1}, event("COMPLETE", 9)]
        client.post("/api/v1/lineage/batch", json=batch)
        server.stop()
        assert [json.loads(body) for body, _ in receiver.got] == [
            json.loads(body),
            batch[0],
            batch[2],
        ]
        assert receiver.got[0] == (body, "Bearer the-other-key")
        assert "the-other-key" not in json.dumps(server.logs)


@pytest.mark.slow
def test_forwarded_failed_and_waiting_events_are_counted(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBLEDGER_LINEAGE_FORWARD_URL", "http://me:word@127.0.0.1:9/x")
    with new_server(dsn) as server, server.client() as client:
        assert client.post("/api/v1/lineage", json=event("START")).status_code == 200
        counts = client.get("/api/v1/lineage/forwarding").json()
        assert (counts["enabled"], counts["sent"], counts["waiting"]) == (True, 0, 1)
        assert "word" not in json.dumps(server.logs)
