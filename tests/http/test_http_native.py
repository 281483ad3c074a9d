"""Reports of schedulers and workers, and commands of users, each by its own POST."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from jobledger.domain.events import EVENT_TYPES
from jobledger.infra.access.required import REPORTS
from jobledger.infra.eventstore.json_view import event_json, job_json
from jobledger.infra.http.native.commands import COMMANDS

from tests.http.test_http import refusal
from tests.servers import Server

SPEC = {"machine": {"type": "a2-highgpu-1g", "count": 2}, "steps": [1, 2.5, None, "ü"]}
POLICY = {"bindings": [{"role": "roles/viewer", "members": ["user:a@example.com"]}]}
LIFE: list[tuple[str, dict[str, Any], str, str]] = [
    ("create", {"labels": {"team": "vision"}, "spec": {"n": 1}}, "Created", "QUEUED"),
    ("queued", {"queuePosition": 2}, "Queued", "QUEUED"),
    ("changeLabels", {"labels": {"team": "nlp"}}, "LabelsChanged", "QUEUED"),
    ("labelsChanged", {"labels": {}}, "LabelsChanged", "QUEUED"),
    ("changeConfig", {"spec": {"n": 2}}, "ConfigChanged", "QUEUED"),
    ("configChanged", {"spec": SPEC}, "ConfigChanged", "QUEUED"),
    ("changePolicy", {"policy": POLICY}, "PolicyChanged", "QUEUED"),
    ("policyChanged", {"policy": {}}, "PolicyChanged", "QUEUED"),
    ("commented", {"note": "Known: the disk was full."}, "Commented", "QUEUED"),
    ("preparing", {}, "Preparing", "PENDING"),
    ("started", {"data": {"worker": "node-7"}}, "Started", "RUNNING"),
    ("progressReported", {"output": {"epoch": 3}}, "ProgressReported", "RUNNING"),
    ("update", {"spec": {"n": 4}}, "Updating", "UPDATING"),
    ("updated", {}, "Updated", "RUNNING"),
    ("updating", {"spec": {"n": 5}}, "Updating", "UPDATING"),
    ("updated", {"error": "no room"}, "Updated", "RUNNING"),
    ("pause", {"reason": "night"}, "Paused", "PAUSED"),
    ("resume", {"running": True}, "Started", "RUNNING"),
    ("paused", {"reason": "night"}, "Paused", "PAUSED"),
    ("resumed", {}, "Resumed", "QUEUED"),
    ("started", {}, "Started", "RUNNING"),
    ("cancel", {"reason": "too dear"}, "Cancelling", "CANCELLING"),
    ("cancelled", {}, "Cancelled", "CANCELLED"),
    ("retry", {"reason": "cheaper now"}, "Retried", "QUEUED"),
    ("cancelling", {"reason": "elsewhere"}, "Cancelling", "CANCELLING"),
    ("failed", {"error": {"code": 8, "message": "memory"}}, "Failed", "FAILED"),
    ("retried", {"reason": "more memory"}, "Retried", "QUEUED"),
    ("expired", {"reason": "too late"}, "Expired", "EXPIRED"),
    ("retry", {}, "Retried", "QUEUED"),
    ("partiallySucceeded", {"output": {"rows": 9}}, "PartiallySucceeded", "PARTIALLY_SUCCEEDED"),
    ("retry", {}, "Retried", "QUEUED"),
    ("succeeded", {"output": {"model": "m"}}, "Succeeded", "SUCCEEDED"),
    ("delete", {}, "Deleted", "SUCCEEDED"),
]
"""All verbs of a job, in a legal order."""
DUE, FAILED = "2026-06-01T10:00:00Z", "2026-06-01T10:00:05Z"
RUNS: list[tuple[str, dict[str, Any], str, str]] = [
    ("runStarted", {"run": 1, "runTime": DUE, "cut": 7}, "RunStarted", "RUNNING"),
    ("datasetCreated", {"run": 1, "exampleCount": 7}, "DatasetCreated", "RUNNING"),
    ("labelingRequested", {"run": 1, "questionCount": 7}, "LabelingRequested", "RUNNING"),
    ("labelingCompleted", {"run": 1, "answerCount": 7}, "LabelingCompleted", "RUNNING"),
    ("alertRaised", {"run": 1, "meanAveragePrecision": 0.5}, "AlertRaised", "RUNNING"),
    ("evaluationCreated", {"run": 1, "evaluatedItemCount": 7}, "Scheduled", "QUEUED"),
    ("runStarted", {"run": 2, "runTime": DUE, "cut": 7}, "RunStarted", "RUNNING"),
    ("runFailed", {"run": 2, "attemptTime": FAILED}, "Scheduled", "QUEUED"),
    ("started", {}, "Started", "RUNNING"),
    ("scheduled", {}, "Scheduled", "QUEUED"),
    ("stopped", {"reason": "not needed"}, "Stopped", "CANCELLED"),
]
"""The further verbs of an evaluation job, in a legal order."""
NEEDED = {verb: body for verb, body, *_ in reversed(RUNS) if "run" in body}


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture
def job(client: httpx.Client, project: str) -> str:
    """The path of a job that was just made."""
    path = f"/ledger/v1/projects/{project}/jobs/one"
    asked(client, path, "create")
    return path


def asked(client: httpx.Client, job: str, verb: str, /, **body: Any) -> dict[str, Any]:
    """Sends a verb that must succeed; returns the answer."""
    answer = client.post(f"{job}:{verb}", json=body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    assert content.keys() == {"job", "events"}
    return content


def history(client: httpx.Client, job: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = client.get(f"{job}/events").raise_for_status().json()["events"]
    return events


@pytest.mark.slow
def test_a_whole_life_by_every_verb_and_each_again_by_its_request_id(
    client: httpx.Client, server: Server, project: str
) -> None:
    expected = {verb for verb, *_ in [*LIFE, *RUNS]}
    assert expected == {*COMMANDS, *REPORTS} - {"deleted"}
    live_through(client, server, project, f"projects/{project}/jobs/one", LIFE)


def test_the_life_of_an_evaluation_job_by_every_verb(
    client: httpx.Client, server: Server, project: str
) -> None:
    name = f"projects/{project}/evaluationJobs/one"
    live_through(client, server, project, name, [("create", {}, "Created", "QUEUED"), *RUNS])


def live_through(
    client: httpx.Client, server: Server, project: str, name: str, life: list[Any]
) -> None:
    written = 0
    for step, (verb, body, event, state) in enumerate(life):
        content = asked(client, f"/ledger/v1/{name}", verb, **body, requestId=f"{project}-{step}")
        written += len(content["events"])
        assert content["job"]["state"] == state
        assert content["job"]["version"] == written
        assert content["events"][-1]["type"] == event
        assert {e["requestId"] for e in content["events"]} == {f"{project}-{step}"}
        again = asked(client, f"/ledger/v1/{name}", verb, **body, requestId=f"{project}-{step}")
        assert again == content

    stored = server.ledger.history(name)
    assert [event_json(event) for event in stored] == history(client, f"/ledger/v1/{name}")
    assert len(stored) == written
    assert all(event.type != "Contradicted" for event in stored)


@pytest.mark.slow
@pytest.mark.parametrize("verb", REPORTS)
def test_an_impossible_report_is_kept_as_contradicted_and_answered_200(
    client: httpx.Client, job: str, verb: str
) -> None:
    gone = asked(client, job, "delete", stop=True)["job"]
    needed = NEEDED.get(verb, {})
    body = asked(client, job, verb, **needed, data={"seen": ["by", "me"]})
    assert body["job"] == gone | {k: body["job"][k] for k in ("version", "etag", "updateTime")}
    (event,) = body["events"]
    assert (event["type"], event["state"]) == ("Contradicted", "CANCELLED")
    expected = {
        "report": REPORTS[verb],
        "state": "DELETED",
        "data": needed | {"seen": ["by", "me"]},
    }
    assert event["data"] == expected
    refusal(client.get(job), 404, "NOT_FOUND", "JOB_NOT_FOUND")


@pytest.mark.slow
@pytest.mark.parametrize("verb", [*REPORTS, *(verb for verb in COMMANDS if verb != "create")])
def test_a_report_on_a_missing_job_is_refused(
    client: httpx.Client, project: str, verb: str
) -> None:
    needed = {"changeLabels": "labels", "changeConfig": "spec", "changePolicy": "policy"}
    body: dict[str, Any] = {needed[verb]: {}} if verb in needed else NEEDED.get(verb, {})
    answer = client.post(f"/ledger/v1/projects/{project}/jobs/none:{verb}", json=body)
    refusal(answer, 404, "NOT_FOUND", "JOB_NOT_FOUND")


def test_a_command_that_the_state_does_not_allow_is_refused_and_nothing_is_written(
    client: httpx.Client, job: str
) -> None:
    refusal(client.post(f"{job}:create"), 409, "ALREADY_EXISTS", "JOB_EXISTS")
    for verb in ("retry", "resume", "update", "delete"):
        refusal(client.post(f"{job}:{verb}"), 400, "FAILED_PRECONDITION", "ILLEGAL_TRANSITION")
    stale = {"labels": {"a": "b"}, "etag": "AAAA"}
    refusal(client.post(f"{job}:changeLabels", json=stale), 409, "ABORTED", "ETAG_MISMATCH")
    assert len(history(client, job)) == 1


def test_a_finished_update_applies_the_request_unless_its_report_differs(
    client: httpx.Client, job: str
) -> None:
    asked(client, job, "started")
    asked(client, job, "update", spec={"n": 1})
    assert asked(client, job, "updated")["events"][0]["data"] == {"spec": {"n": 1}}
    asked(client, job, "updating", spec={"n": 2})
    assert asked(client, job, "updated", spec={"n": 3})["job"]["spec"] == {"n": 3}
    asked(client, job, "update", spec={"n": 4})
    failed = asked(client, job, "updated", error={"code": 9, "message": "no"}, data={"node": 1})
    assert failed["job"]["spec"] == {"n": 3}
    assert failed["events"][0]["data"] == {"error": {"code": 9, "message": "no"}, "node": 1}


def test_a_repeated_request_for_an_update_keeps_its_answer(
    client: httpx.Client, job: str, project: str
) -> None:
    asked(client, job, "started")
    asked(client, job, "update", spec={"n": 1})
    expected = asked(client, job, "updated", requestId=f"{project}-r")
    asked(client, job, "update", spec={"n": 2})
    assert asked(client, job, "updated", requestId=f"{project}-r") == expected
    # None is under way then, and this says of none what it did.
    assert asked(client, job, "updated")["job"]["spec"] == {"n": 2}
    stray = asked(client, job, "updated")["events"][0]
    assert stray["data"] == {"report": "Updated", "state": "RUNNING"}


def test_callers_with_one_request_id_get_the_same_answer(
    server: Server, client: httpx.Client, job: str, project: str
) -> None:
    def start(number: int) -> dict[str, Any]:
        with server.client() as other:
            return asked(other, job, "started", requestId=f"{project}-r")

    with ThreadPoolExecutor(16) as pool:
        first, *others = pool.map(start, range(16))
    assert all(other == first for other in others)
    assert [event["type"] for event in history(client, job)] == ["Created", "Started"]


def test_a_request_id_of_another_request_is_refused(
    client: httpx.Client, job: str, project: str
) -> None:
    asked(client, job, "started", data={"worker": "a"}, requestId=f"{project}-r")
    other = job.replace("/one", "/two")
    asked(client, other, "create")
    for path, verb, body in (
        (job, "started", {"data": {"worker": "b"}}),
        (job, "succeeded", {}),
        (job, "cancel", {}),
        (other, "started", {"data": {"worker": "a"}}),
        (other, "cancel", {}),
    ):
        answer = client.post(f"{path}:{verb}", json={**body, "requestId": f"{project}-r"})
        refusal(answer, 409, "ALREADY_EXISTS", "REQUEST_REUSED")
    assert [len(history(client, path)) for path in (job, other)] == [2, 1]


def test_a_time_it_occurred_at_is_kept_in_utc(client: httpx.Client, job: str) -> None:
    body = asked(client, job, "started", occurredTime="2026-01-31T12:00:00.5+02:00")
    assert body["events"][0]["occurredTime"] == "2026-01-31T10:00:00.500000Z"
    assert body["job"]["startTime"] == "2026-01-31T10:00:00.500000Z"


@pytest.mark.slow
@pytest.mark.parametrize(
    "time",
    ["1969-12-31T23:59:59Z", "yesterday", "",
     pytest.param((datetime.now(UTC) + timedelta(days=2)).isoformat(), id="in two days"),
     "2026-01-31T12:00:00", 5, 1_700_000_000, True, {}, ["2026-01-31T12:00:00Z"]],
)  # fmt: skip
def test_an_invalid_time_is_refused_with_its_field(
    client: httpx.Client, job: str, time: Any
) -> None:
    answer = client.post(f"{job}:started", json={"occurredTime": time})
    error = refusal(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert error["message"].startswith("occurredTime: ")
    assert len(history(client, job)) == 1


def test_a_time_without_a_zone_is_refused_with_the_form_of_one(
    client: httpx.Client, job: str
) -> None:
    time = "2026-01-31T12:00:00"
    answer = client.post(f"{job}:started", json={"occurredTime": time})
    error = refusal(answer, 400, "INVALID_ARGUMENT")
    wanted = f"'{time}' has no time zone; add Z or an offset"
    assert error["message"] == f"occurredTime: {wanted}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [("started", {"actor": "me"}, "actor"), ("cancel", {"actor": "me"}, "actor"),
     ("started", {"data": {}, "worker": "node-7"}, "worker"), ("create", {"lables": {}}, "lables"),
     ("create", {"query": 1}, "query"), ("create", {"body": 1}, "body"), ("create", {"data": {}}, "data"),
     ("queued", {"queue_position": 1}, "queue_position"), ("create", {"preparing": "yes"}, "preparing"),
     ("create", {"labels": {"a": 1}}, "labels.a"), ("create", {"labels": {"A": "b"}}, "labels"),
     ("started", {"requestId": ""}, "requestId"),
     ("started", {"requestId": "\n"}, "requestId"), ("started", {"requestId": 5}, "requestId"),
     ("started", {"traceParent": "00-1-2-3"}, "traceParent"), ("changeLabels", {}, "labels"),
     ("create", {"spec": None}, "spec")],
)  # fmt: skip
def test_an_invalid_field_is_refused_with_its_path(
    client: httpx.Client, job: str, verb: str, body: dict[str, Any], field: str
) -> None:
    error = refusal(client.post(f"{job}:{verb}", json=body), 400, "INVALID_ARGUMENT")
    assert error["message"].startswith(f"{field}: ")
    assert error["details"][0]["metadata"]["field"] == field
    assert len(history(client, job)) == 1


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"data": }', b"\xff", b"[]", b"1", b'"x"', b"null,", b"[" * 3_000, b'{"\\ud800": 1}'],
)  # fmt: skip
def test_a_body_that_is_not_json_is_refused(client: httpx.Client, job: str, body: bytes) -> None:
    json = {"content-type": "application/json"}
    refusal(client.post(f"{job}:started", content=body, headers=json), 400, "INVALID_ARGUMENT")
    assert len(history(client, job)) == 1


def test_unknown_fields_of_data_are_kept(client: httpx.Client, job: str) -> None:
    data = {"request_id": "x", "occurred_time": "soon", "actor": 1, "data": {"data": None}, "ü": []}
    asked(client, job, "started", data=data)
    event = history(client, job)[1]
    assert event["data"] == data
    assert event["requestId"] is None
    # A field that the ledger knows counts more than one of its name among the others.
    queued = asked(client, job, "progressReported", output={"n": 1}, data={"output": {"n": 2}})
    assert queued["job"]["output"] == {"n": 1}


def test_data_of_any_depth_that_the_ledger_keeps_is_answered_too(
    client: httpx.Client, job: str, server: Server
) -> None:
    deep: Any = 1
    for _ in range(253):
        deep = {"a": deep}
    body = asked(client, job, "configChanged", spec=deep)
    assert body["job"]["spec"] == deep
    assert client.get(job).json()["spec"] == deep
    assert history(client, job)[1]["data"] == {"spec": deep}
    project = job.split("/")[4]
    listed = client.get("/ledger/v1/jobs", params={"filter": f"project = {project}"})
    assert listed.json()["jobs"] == [job_json(server.ledger.get(job.removeprefix("/ledger/v1/")))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "body", "kept"),
    [("started", b'{"data": {"a": NaN}}', {"a": "NaN"}), ("started", b'{"data": {"a": "\\ud800"}}', {"a": "\ufffd"}),
     ("started", b'{"data": {"n": %s}}' % (b"9" * 20), {"n": "9" * 20}),
     ("started", b'{"data": {"a": "x\\u0000"}}', {"a": "x\u2400"}), ("started", b'{"data": [1]}', {"value": [1]}),
     ("queued", b'{"queuePosition": "1"}', {"queuePosition": 1}), ("queued", b'{"queuePosition": -1}', {}),
     ("failed", b'{"error": {"code": 137}}', {"error": {"code": 2, "message": ""}, "exitCode": 137})],
)  # fmt: skip
def test_a_report_that_cannot_be_stored_is_repaired(
    client: httpx.Client, job: str, verb: str, body: bytes, kept: dict[str, Any]
) -> None:
    headers = {"content-type": "application/json"}
    assert client.post(f"{job}:{verb}", content=body, headers=headers).status_code == 200
    data = history(client, job)[-1]["data"]
    assert data.pop("@mended")
    assert data == kept


def test_data_beyond_what_an_event_holds_is_shortened(client: httpx.Client, job: str) -> None:
    text = "x" * 256 * 1024
    asked(client, job, "started", data={"a": text})
    data = history(client, job)[-1]["data"]
    whole = {"length": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    assert data["@mended"] == [{"path": "a", "truncated": whole}]
    assert 200_000 < len(data["a"]) < len(text)


def test_a_command_that_cannot_be_stored_is_refused(client: httpx.Client, job: str) -> None:
    body = b'{"spec": {"id": 1546130668394913822}}'
    headers = {"content-type": "application/json"}
    answer = client.post(f"{job}2:create", content=body, headers=headers)
    error = refusal(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert "id is the integer 1546130668394913822" in error["message"]
    assert "write it as a string" in error["message"]


def test_every_report_has_a_verb_and_no_other_event_has() -> None:
    assert set(REPORTS.values()) == EVENT_TYPES.keys() - {"Created", "Contradicted"}
