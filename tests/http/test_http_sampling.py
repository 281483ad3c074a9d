"""Predictions over HTTP: recorded in batches, counted, kept aside, and given ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.clients import refused
from tests.evaluation_jobs import make_job, spec_of
from tests.servers import Server

SAID = {"input": {"text": "a"}, "output": {"label": "cat", "score": 0.5}}


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client("/ledger/v1/") as client:
        yield client


@pytest.fixture
def name(server: Server, project: str) -> str:
    return make_job(server.ledger, spec_of(), project)


def test_predictions_are_sampled_counted_and_read(http: httpx.Client, name: str) -> None:
    given = [
        SAID | {"time": "2026-06-01T10:00:00+02:00", "groundTruth": "dog"},
        SAID,
        SAID | {"key": "another"},
        {"input": {"txt": "b"}, "output": {}},
    ]
    answer = http.post(f"{name}:recordPredictions", json={"predictions": given})
    counts = {"sampled": 2, "repeated": 1, "passedOver": 0, "beyondCount": 0}
    rejected = [{"index": 3, "why": "the input has no 'text'"}]
    assert answer.json() == counts | {"rejected": rejected, "spoilt": rejected}
    assert http.get(f"{name}/sampling").json() == counts | {"rejected": 1, "spoilt": 1}
    first, second = http.get(f"{name}/samples").json()["samples"]
    assert (first["time"], first["groundTruth"]) == ("2026-06-01T08:00:00.000000Z", "dog")
    assert first["input"] == second["input"] == {"text": "a"}
    assert http.get(f"{name}/samples", params={"after": 1}).json()["samples"] == [second]
    page = http.get(f"{name}/rejectedPredictions").json()
    [found] = page["rejectedPredictions"]
    assert (found["input"], found["why"]) == ({"txt": "b"}, "the input has no 'text'")
    assert http.get(f"{name}/spoiltPredictions").json() == {"spoiltPredictions": [found]}
    truths = [{"key": "another", "groundTruth": "cat"}, {"key": "none", "groundTruth": "cat"}]
    body = http.post(f"{name}:recordTruths", json={"truths": truths})
    assert body.json() == {"outcomes": ["told", "unknown"]}


@pytest.mark.slow
def test_ten_thousand_in_one_call(http: httpx.Client, name: str) -> None:
    given = [SAID | {"key": str(n)} for n in range(10_000)]
    answer = http.post(f"{name}:recordPredictions", json={"predictions": given})
    assert (answer.json()["sampled"], answer.json()["beyondCount"]) == (1_000, 9_000)
    more = http.post(f"{name}:recordPredictions", json={"predictions": [*given, SAID]})
    assert refused(more)[:2] == (400, "INVALID_ARGUMENT")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ([], "body"),
        ({"predictions": [], "more": 1}, "body"),
        ({"predictions": {}}, "body"),
        ({"predictions": [7]}, "predictions[0]"),
        ({"predictions": [SAID, {"input": {}}]}, "predictions[1].output"),
        ({"predictions": [SAID | {"inputs": {}}]}, "predictions[0].inputs"),
        ({"predictions": [SAID | {"time": "yesterday"}]}, "predictions[0].time"),
        ({"predictions": [SAID | {"time": "2026-01-01T00:00:00"}]}, "predictions[0].time"),
        ({"predictions": [SAID | {"time": 7}]}, "predictions[0].time"),
        ({"predictions": [SAID | {"key": 7}]}, "predictions[0].key"),
        ({"predictions": [SAID | {"groundTruth": "\0"}]}, "predictions[0].truth"),
        (
            {
                "predictions": [
                    SAID | {"input": {"text": {"@personal": {"subject": "s", "value": 1}}}}
                ]
            },
            "predictions[0].input",
        ),
    ],
)
def test_an_unreadable_item_is_refused_with_its_path(
    http: httpx.Client, name: str, body: Any, field: str
) -> None:
    refusal = refused(http.post(f"{name}:recordPredictions", json=body))
    assert refusal[:2] == (400, "INVALID_ARGUMENT")
    assert refusal.message.startswith(f"{field}:")
    assert http.get(f"{name}/sampling").json()["sampled"] == 0


def test_jobs_of_other_kinds_sample_nothing(
    http: httpx.Client, server: Server, project: str
) -> None:
    server.ledger.create(f"projects/{project}/jobs/j")
    body = {"predictions": [SAID]}
    answer = http.post(f"projects/{project}/jobs/j:recordPredictions", json=body)
    assert refused(answer)[:3] == (400, "FAILED_PRECONDITION", "NOT_SAMPLING")
    answer = http.post(f"projects/{project}/evaluationJobs/none:recordPredictions", json=body)
    assert refused(answer)[:2] == (404, "NOT_FOUND")
    paused = make_job(server.ledger, spec_of(), project)
    server.ledger.pause(paused)
    assert (
        refused(http.post(f"{paused}:recordPredictions", json=body)).status == "FAILED_PRECONDITION"
    )
