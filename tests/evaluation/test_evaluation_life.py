"""The whole life of an evaluation job through Google's own client: creation, sampling, run, labels, evaluation, search."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from jobledger.infra.evaluation.runs.scheduler import Scheduler
from jobledger.infra.evaluation.samples.outcomes import Prediction

from tests.clients import discovered
from tests.evaluation_jobs import Clock, spec_of
from tests.grpc_clients import Clients
from tests.on_use import sklearn
from tests.servers import Server

pytestmark = pytest.mark.slow

MANY = 10_000
UNTOLD = 60
"""Examples of which people tell the truth."""
DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    with discovered("datalabeling", "v1beta1", server) as made:
        yield made


@pytest.fixture(scope="module")
def classified() -> tuple[Any, Any]:
    """The digits of noisy pictures, and what a classifier makes of them: (truth, a score for each digit)."""
    pictures, digits = sklearn("datasets").load_digits(return_X_y=True)
    classifier = (
        sklearn("linear_model").LogisticRegression(max_iter=200).fit(pictures[:900], digits[:900])
    )
    random = np.random.default_rng(7)
    chosen = random.integers(900, len(digits), MANY)
    noisy = pictures[chosen] + random.normal(0, 3, (MANY, pictures.shape[1]))
    return digits[chosen], classifier.predict_proba(noisy)


def test_ten_thousand_digits_are_sampled_labelled_and_evaluated(
    client: Any, server: Server, project: str, classified: tuple[Any, Any]
) -> None:
    truth, scores = classified
    sets, jobs = client.projects().annotationSpecSets(), client.projects().evaluationJobs()
    specs = [{"displayName": digit, "description": f"a {digit}"} for digit in DIGITS]
    made = sets.create(
        parent=f"projects/{project}",
        body={"annotationSpecSet": {"displayName": "digits", "annotationSpecs": specs}},
    ).execute()
    spec = spec_of(
        "GENERAL_CLASSIFICATION_ANNOTATION", people=True, example_count=MANY, spec_set=made["name"]
    )
    name = jobs.create(parent=f"projects/{project}", body={"job": spec}).execute()["name"]
    assert jobs.get(name=name).execute()["state"] == "SCHEDULED"

    with server.client("/ledger/v1/", timeout=60) as http:
        for first in range(0, MANY, 2_000):
            given = [prediction(n, truth[n], scores[n]) for n in range(first, first + 2_000)]
            answer = http.post(f"{name}:recordPredictions", json={"predictions": given})
            assert answer.json()["sampled"] == 2_000
        clock = Clock(datetime.now(UTC) + timedelta(days=1, hours=1))
        scheduler = Scheduler(server.ledger, clock=clock)
        scheduler.do_due()
        assert jobs.get(name=name).execute()["state"] == "RUNNING"
        assert search(client, project, name) == []
        answer_all(http, name, truth)
        scheduler.do_due()
    assert jobs.get(name=name).execute()["state"] == "SCHEDULED"

    [evaluation] = search(client, project, name)
    assert evaluation["evaluatedItemCount"] == str(MANY)
    evaluations = client.projects().datasets().evaluations()
    assert evaluations.get(name=evaluation["name"]).execute() == evaluation
    equal_to_sklearn(evaluation, truth, scores)
    for digit in DIGITS:
        [of_label] = search(client, project, name, f' AND annotation_spec.display_name = "{digit}"')
        curve = of_label["evaluationMetrics"]["classificationMetrics"]["prCurve"]
        true = truth == int(digit)
        expected = sklearn("metrics").average_precision_score(true, scores[:, int(digit)])
        assert curve["meanAveragePrecision"] == pytest.approx(expected, abs=1e-6)
    page = (
        evaluations.exampleComparisons()
        .search(parent=evaluation["name"], body={"pageSize": 5})
        .execute()
    )
    assert len(page["exampleComparisons"]) == 5
    jobs.delete(name=name).execute()
    assert evaluations.get(name=evaluation["name"]).execute() == evaluation


def prediction(number: int, digit: int, scores: Any) -> dict[str, Any]:
    entries: dict[str, Any] = {
        "input": {"text": f"picture {number}"},
        "output": {"label": DIGITS, "score": scores.tolist()},
    }
    return entries if number < UNTOLD else entries | {"groundTruth": str(digit)}


def search(client: Any, project: str, name: str, further: str = "") -> list[dict[str, Any]]:
    asked = f"evaluation_job.evaluation_job_id = {name.rpartition('/')[2]}{further}"
    found = client.projects().evaluations().search(parent=f"projects/{project}", filter=asked)
    entries: list[dict[str, Any]] = found.execute().get("evaluations", [])
    return entries


def answer_all(http: httpx.Client, name: str, truth: Any) -> None:
    [task] = http.get(f"{name}/labeling").raise_for_status().json()["tasks"]
    assert (task["run"], task["questionCount"]) == (1, UNTOLD)
    answers = [{"sample": n + 1, "answer": str(truth[n])} for n in range(UNTOLD)]
    body = {"annotator": "ann", "answers": answers}
    http.post(f"{name}/labeling/1:answer", json=body).raise_for_status()


def equal_to_sklearn(evaluation: dict[str, Any], truth: Any, scores: Any) -> None:
    metrics = evaluation["evaluationMetrics"]["classificationMetrics"]
    true = truth[:, None] == np.arange(10)
    precision, recall, _ = sklearn("metrics").precision_recall_curve(true.ravel(), scores.ravel())
    curve = metrics["prCurve"]
    assert curve["areaUnderCurve"] == pytest.approx(
        sklearn("metrics").auc(recall, precision), abs=1e-6
    )
    expected = sklearn("metrics").average_precision_score(true, scores, average="macro")
    assert curve["meanAveragePrecision"] == pytest.approx(expected, abs=1e-6)
    best = np.zeros_like(true)
    best[np.arange(len(truth)), scores.argmax(axis=1)] = True
    for entry in curve["confidenceMetricsEntries"][::10]:
        at = scores >= entry.get("confidenceThreshold", 0)
        for predicted, rank in ((at, ""), (at & best, "At1")):
            found = sklearn("metrics").precision_recall_fscore_support(
                true.ravel(), predicted.ravel(), average="binary", zero_division=0
            )
            names = (f"precision{rank}", f"recall{rank}", f"f1Score{rank}")
            given = [entry.get(each, 0) for each in names]
            assert given == pytest.approx(found[:3], abs=1e-6)
    counts = sklearn("metrics").confusion_matrix(truth, scores.argmax(axis=1))
    for row, counted in zip(metrics["confusionMatrix"]["row"], counts, strict=True):
        entries = {e["annotationSpec"]["displayName"]: e["itemCount"] for e in row["entries"]}
        assert entries == {digit: n for digit, n in zip(DIGITS, counted.tolist(), strict=True) if n}


def test_the_same_life_over_grpc(
    server: Server, google: Clients, project: str, classified: Any
) -> None:
    from google.cloud import datalabeling_v1beta1 as labeling
    from google.protobuf import json_format

    truth, scores = (column[:1_000] for column in classified)
    spec = spec_of("GENERAL_CLASSIFICATION_ANNOTATION", spec_set="")
    client = google.labeling
    specs = [{"display_name": digit} for digit in DIGITS]
    made = client.create_annotation_spec_set(
        parent=f"projects/{project}",
        annotation_spec_set={"display_name": "digits", "annotation_specs": specs},
    )
    body = labeling.EvaluationJob.pb()()
    json_format.ParseDict(spec | {"annotationSpecSet": made.name}, body)
    job = client.create_evaluation_job(parent=f"projects/{project}", job=body)
    assert job.state == labeling.EvaluationJob.State.SCHEDULED
    given = [
        Prediction({"text": str(n)}, {"label": DIGITS, "score": row.tolist()}, job.create_time, truth=str(digit))
        for n, (digit, row) in enumerate(zip(truth, scores, strict=True))
    ]  # fmt: skip
    assert server.ledger.record_predictions(job.name, given).sampled == 1_000
    client.pause_evaluation_job(name=job.name)
    client.resume_evaluation_job(name=job.name)
    clock = Clock(datetime.now(UTC) + timedelta(days=1, hours=1))
    Scheduler(server.ledger, clock=clock).do_due()
    wanted = f"evaluation_job.evaluation_job_id = {job.name.rpartition('/')[2]}"
    [found] = client.search_evaluations(parent=f"projects/{project}", filter=wanted)
    curve = client.get_evaluation(
        name=found.name
    ).evaluation_metrics.classification_metrics.pr_curve
    true = truth[:, None] == np.arange(10)
    expected = sklearn("metrics").average_precision_score(true, scores, average="macro")
    assert curve.mean_average_precision == pytest.approx(expected, abs=1e-6)
    comparisons = client.search_example_comparisons(parent=found.name)
    assert next(iter(comparisons)).ground_truth_example.annotations
    client.delete_evaluation_job(name=job.name)
