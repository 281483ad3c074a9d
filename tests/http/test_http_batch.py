"""Many reports at once: recorded in their order, answered one by one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.http.test_http import refusal
from tests.http.test_http_native import asked, history
from tests.servers import Server

BATCH = "/ledger/v1/reports:batch"
CODES = {"JOB_NOT_FOUND": 5, "REQUEST_REUSED": 6, "DATA_TOO_LARGE": 3, "INVALID_FIELD": 3}


class Batches:
    """Sends batches about the jobs of one project, which are named by their last part."""

    def __init__(self, client: httpx.Client, project: str) -> None:
        self.client = client
        self.parent = f"projects/{project}/jobs"

    def item(self, job: str, report: str, /, **expected: Any) -> dict[str, Any]:
        return {"name": f"{self.parent}/{job}", "report": report, **expected}

    def send(self, *items: Any) -> httpx.Response:
        return self.client.post(BATCH, json={"reports": items})

    def results(self, *items: Any) -> list[dict[str, Any]]:
        answer = self.send(*items)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        assert len(results) == len(items)
        return results

    def make(self, *jobs: str) -> None:
        for job in jobs:
            asked(self.client, f"/ledger/v1/{self.parent}/{job}", "create")

    def history(self, job: str) -> list[dict[str, Any]]:
        return history(self.client, f"/ledger/v1/{self.parent}/{job}")


@pytest.fixture
def batches(server: Server, project: str) -> Iterator[Batches]:
    with server.client() as client:
        yield Batches(client, project)


def types(results: list[dict[str, Any]]) -> list[str]:
    """What came of each: an event's type, or the reason it was refused for."""
    for error in (result["error"] for result in results if "error" in result):
        assert error["code"] == CODES[error["details"][0]["reason"]]
    return [
        result["error"]["details"][0]["reason"] if "error" in result else result["type"]
        for result in results
    ]


def test_reports_are_recorded_in_their_order_and_answered_in_it(batches: Batches) -> None:
    batches.make("a", "b")
    results = batches.results(
        batches.item("a", "started", data={"worker": 1}),
        batches.item("b", "queued", queuePosition=3),
        batches.item("b", "started", occurredTime="2026-01-31T12:00:00+02:00"),
        batches.item("a", "progressReported", output={"n": 1}),
        batches.item("b", "failed", error="out of memory"),
        batches.item("a", "paused", reason="night"),
        batches.item("a", "started"),
        batches.item("a", "succeeded"),
    )
    assert types(results) == [
        "Started", "Queued", "Started", "ProgressReported", "Failed", "Paused", "Contradicted", "Contradicted",
    ]  # fmt: skip
    states = [result["state"] for result in results]
    assert " ".join(states) == "RUNNING QUEUED RUNNING RUNNING FAILED PAUSED PAUSED PAUSED"
    assert all(a["position"] < b["position"] for a, b in pairwise(results))
    assert [event["version"] for event in batches.history("a")] == [1, 2, 3, 4, 5, 6]
    stored = {event["position"]: event for job in "ab" for event in batches.history(job)}
    for result in results:
        assert result.items() <= stored[result["position"]].items()
    assert batches.history("b")[2]["occurredTime"] == "2026-01-31T10:00:00.000000Z"


def test_a_refused_report_does_not_stop_the_others(batches: Batches) -> None:
    batches.make("a", "b")
    batches.results(batches.item("b", "started", requestId="used"))
    results = batches.results(
        batches.item("a", "started"),
        batches.item("nobody", "started"),
        batches.item("a", "succeeded", data={"large": "x" * 300_000}),
        batches.item("a", "failed", requestId="used"),
        batches.item("a", "progressReported", data={"n": 2**53}),
        batches.item("a", "succeeded"),
    )
    assert types(results) == [
        "Started", "JOB_NOT_FOUND", "Succeeded", "REQUEST_REUSED", "Contradicted", "Contradicted",
    ]  # fmt: skip
    large, number = batches.history("a")[2:4]
    assert large["data"]["@mended"][0]["truncated"]["length"] == 300_000
    assert number["data"]["data"]["n"] == str(2**53)


def test_a_request_id_writes_once_in_one_batch_and_in_two(batches: Batches) -> None:
    batches.make("a", "b")
    start = batches.item("a", "started", data={"n": 1}, requestId=f"{batches.parent}-1")
    other = batches.item("b", "started", data={"n": 1}, requestId=f"{batches.parent}-1")
    first, again, elsewhere, ended = batches.results(
        start, start, other, batches.item("a", "succeeded", requestId=f"{batches.parent}-2")
    )
    assert first == again
    assert types([first, elsewhere, ended]) == ["Started", "REQUEST_REUSED", "Succeeded"]

    assert batches.results(start, start)[0] == first
    alone = asked(batches.client, f"/ledger/v1/{start['name']}", "started", data={"n": 1}, requestId=start["requestId"])  # fmt: skip
    assert alone["events"][0]["position"] == first["position"]
    otherwise = {**start, "data": {"n": 2}}
    assert types(batches.results(otherwise, start)) == ["REQUEST_REUSED", "Started"]
    assert len(batches.history("a")) == 3
    assert len(batches.history("b")) == 1


def test_a_finished_update_applies_the_request_within_a_batch_too(
    batches: Batches,
) -> None:
    batches.make("a", "b")
    batches.results(batches.item("a", "started"), batches.item("b", "started"))
    asked(batches.client, f"/ledger/v1/{batches.parent}/a", "update", spec={"n": 1})
    batches.results(
        batches.item("a", "updated"),
        batches.item("b", "updating", spec={"n": 2}),
        batches.item("b", "updated"),
        batches.item("b", "updating", spec={"n": 3}),
        batches.item("b", "updated", error="no room"),
    )
    specs = [event["data"].get("spec") for event in batches.history("b")]
    assert specs == [None, None, {"n": 2}, {"n": 2}, {"n": 3}, None]
    assert batches.history("a")[-1]["data"] == {"spec": {"n": 1}}


@pytest.mark.slow
def test_a_batch_has_at_most_a_thousand_reports(batches: Batches) -> None:
    batches.make("a")
    many = [batches.item("a", "progressReported", data={"n": n}) for n in range(1_000)]
    results = batches.results(*many)
    assert [result["version"] for result in results] == list(range(2, 1_002))
    assert [event["data"] for event in batches.history("a")[1:]] == [{"n": n} for n in range(1_000)]

    error = refusal(batches.send(*many, many[0]), 400, "INVALID_ARGUMENT")
    assert error["message"] == "reports: has 1001 reports; send at most 1000"
    assert len(batches.history("a")) == 1_001
    assert batches.results() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "field"),
    [(5, ""), (None, ""), ("started", ""), ([], ""), ({"report": "exploded"}, ".report"),
     ({"report": "contradicted"}, ".report"), ({"report": "create"}, ".report"), ({"report": 1}, ".report"),
     ({"report": ["started"]}, ".report"), ({"report": "Started"}, ".report"), ({"report": None}, ".report"),
     ({"name": None}, ".name"), ({"name": []}, ".name"), ({"name": {}}, ".name"), ({"name": "a"}, ".name"),
     ({"actor": "me"}, ".actor"), ({"worker": 1}, ".worker"),
     ({"occurredTime": 5}, ".occurredTime"), ({"occurredTime": "1960-01-01T00:00:00Z"}, ".occurredTime"),
     ({"occurredTime": "2026-01-01T00:00:00"}, ".occurredTime"), ({"requestId": 5}, ".requestId"),
     ({"requestId": "\t"}, ".requestId"), ({"traceParent": "x"}, ".trace_parent"),
     ({"name": "projects/p/jobs/a:b"}, ".name")],
)  # fmt: skip
def test_an_invalid_item_is_refused_with_its_index_and_does_not_stop_the_others(
    batches: Batches, wrong: Any, field: str
) -> None:
    batches.make("a")
    start = batches.item("a", "started")
    item = start | wrong if isinstance(wrong, dict) else wrong
    results = batches.results(start, item, batches.item("a", "succeeded"))
    assert types(results) == ["Started", "INVALID_FIELD", "Succeeded"]
    assert results[1]["error"]["details"][0]["metadata"]["field"] == f"reports[1]{field}"
    assert [event["type"] for event in batches.history("a")] == ["Created", "Started", "Succeeded"]


def test_a_time_without_a_zone_is_shown_as_it_was_given(batches: Batches) -> None:
    batches.make("a")
    (result,) = batches.results(batches.item("a", "started") | {"occurredTime": "2026-01-01"})
    assert result["error"]["message"] == (
        "reports[0].occurredTime: '2026-01-01' has no time zone; add Z or an offset"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b"5", b"null", b'{"reports": {}}', b'{"reports": null}', b"\xff",
     b'{"reports": [], "more": 1}', b"[" * 2_000],
)  # fmt: skip
def test_a_body_that_is_not_a_batch_is_refused(batches: Batches, body: bytes) -> None:
    refusal(
        batches.client.post(BATCH, content=body, headers={"content-type": "application/json"}),
        400,
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
    )


def test_a_null_field_counts_as_absent(batches: Batches) -> None:
    batches.make("a")
    nothing = dict.fromkeys(("occurredTime", "requestId", "traceParent"))
    assert types(batches.results(batches.item("a", "started", **nothing))) == ["Started"]
