"""Runs: started when they are due, each with its own samples, and continued from any step."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jobledger.domain.events import parse_data
from jobledger.domain.job import Job, replay
from jobledger.domain.runs import last_run, open_runs
from jobledger.domain.values import canonical
from jobledger.infra import Ledger
from jobledger.infra.evaluation.runs.scheduler import Scheduler
from jobledger.infra.evaluation.samples.outcomes import Prediction
from jobledger.infra.evaluation.samples.reading import read_evaluated
from jobledger.infra.upkeep.verify import verify

from tests.evaluation_jobs import BEGIN, Clock, make_job, predictions_of, spec_of


def types(ledger: Ledger, name: str) -> list[str]:
    return [event.type for event in ledger.history(name)]


def state(ledger: Ledger, name: str) -> str:
    found = ledger.get(name).state
    assert found is not None
    return {"QUEUED": "SCHEDULED"}.get(found.name, found.name)


def tell(ledger: Ledger, name: str, type_: str, **expected: Any) -> list[str]:
    """The events a report makes."""
    return [event.type for event in ledger.report(name, parse_data(type_, expected)).events]


TIME = "2026-06-02T10:00:00Z"
WAITING = "SELECT count(*) FROM pg_locks WHERE relation = 'evaluations'::regclass AND NOT granted"


def test_a_run_takes_what_was_sampled_since_the_last_and_evaluates_it(ledger: Ledger) -> None:
    name, clock = make_job(ledger, spec_of()), Clock()
    scheduler = Scheduler(ledger, clock=clock)
    ledger.record_predictions(name, predictions_of("abc", truth="cat"))
    scheduler.do_due()
    assert types(ledger, name) == ["Created"]  # 10:00 is still to come.
    clock.forward(hours=1)
    scheduler.do_due()
    assert types(ledger, name)[1:] == [
        "RunStarted",
        "DatasetCreated",
        "EvaluationCreated",
        "Scheduled",
    ]
    ledger.record_predictions(
        name, [*predictions_of("de", truth="cat"), *predictions_of("f", truth="dog")]
    )
    clock.forward(days=1)
    scheduler.do_due()
    scheduler.do_due()
    assert types(ledger, name)[5:] == [
        "RunStarted",
        "DatasetCreated",
        "EvaluationCreated",
        "Scheduled",
    ]
    first, second = (found[0] for found in read_evaluated(ledger.reader, name).values())
    assert (first["evaluatedItemCount"], second["evaluatedItemCount"]) == ("3", "3")
    assert second["evaluationJobRunTime"] == TIME
    assert state(ledger, name) == "SCHEDULED"
    assert last_run(ledger.get(name).output) == (2, datetime(2026, 6, 2, 10, tzinfo=UTC), 6)


def test_the_event_holds_the_digest_of_what_is_kept(ledger: Ledger) -> None:
    name, clock = make_job(ledger, spec_of()), Clock()
    ledger.record_predictions(name, predictions_of("abc", truth="cat"))
    clock.forward(hours=2)
    Scheduler(ledger, clock=clock).do_due()
    found = read_evaluated(ledger.reader, name)[1]
    created = next(e.json for e in ledger.history(name) if e.type == "EvaluationCreated")
    assert created["digest"] == hashlib.sha256(canonical.encode_any(found)).hexdigest()
    assert created["evaluation"] == found[0]["name"]
    assert created["meanAveragePrecision"] == 1.0


def test_a_run_without_samples_fails_and_is_an_attempt(ledger: Ledger) -> None:
    name, clock = make_job(ledger, spec_of()), Clock()
    clock.forward(hours=2)
    Scheduler(ledger, clock=clock).do_due()
    assert types(ledger, name)[1:] == ["RunStarted", "RunFailed", "Scheduled"]
    [attempt] = ledger.get(name).output["attempts"]  # type: ignore[index]
    assert attempt["attemptTime"] == "2026-06-01T11:00:00Z"
    assert attempt["partialFailures"][0]["code"] == 9
    assert "nothing was sampled" in attempt["partialFailures"][0]["message"]


def test_a_run_without_any_truth_fails_and_its_samples_are_in_no_other(ledger: Ledger) -> None:
    name, clock = make_job(ledger, spec_of()), Clock()
    ledger.record_predictions(name, predictions_of("abc"))
    scheduler = Scheduler(ledger, clock=clock)
    clock.forward(hours=2)
    scheduler.do_due()
    clock.forward(days=1)
    ledger.record_predictions(name, predictions_of("d", truth="cat"))
    scheduler.do_due()
    messages = [a["partialFailures"][0]["message"] for a in ledger.get(name).output["attempts"]]  # type: ignore[index]
    assert messages == ["none of the 3 examples has ground truth"]
    counts = [e.json["exampleCount"] for e in ledger.history(name) if e.type == "DatasetCreated"]
    assert counts == [3, 1]


def test_a_job_without_sampling_fails_with_an_explanation(ledger: Ledger) -> None:
    clock = Clock()
    spec = {"description": "d", "schedule": "every 24 hours"}
    name = ledger.create("projects/p/evaluationJobs/bare", {}, spec, occurred_time=BEGIN).name
    clock.forward(hours=2)
    Scheduler(ledger, clock=clock).do_due()
    [attempt] = ledger.get(name).output["attempts"]  # type: ignore[index]
    assert "inputConfig" in attempt["partialFailures"][0]["message"]


def test_intervals_that_were_missed_are_run_once(ledger: Ledger) -> None:
    name, clock = make_job(ledger, spec_of()), Clock()
    scheduler = Scheduler(ledger, clock=clock)
    clock.forward(days=5)
    for _ in range(3):
        scheduler.do_due()
    started = [e.json for e in ledger.history(name) if e.type == "RunStarted"]
    assert [run["runTime"] for run in started] == ["2026-06-05T10:00:00Z"]
    clock.forward(days=1)
    scheduler.do_due()
    started = [e.json for e in ledger.history(name) if e.type == "RunStarted"]
    assert [run["runTime"] for run in started][1:] == ["2026-06-06T10:00:00Z"]


def test_a_finer_schedule_is_a_setting(ledger: Ledger) -> None:
    name, clock = make_job(ledger, spec_of(schedule="*/10 * * * *")), Clock()
    Scheduler(ledger, clock=clock).do_due()
    clock.forward(minutes=25)
    Scheduler(ledger, clock=clock).do_due()
    assert "RunStarted" not in types(ledger, name)
    Scheduler(ledger, "exact", clock=clock).do_due()
    [started] = [e.json for e in ledger.history(name) if e.type == "RunStarted"]
    assert started["runTime"] == "2026-06-01T09:20:00Z"


def test_a_paused_job_starts_no_runs_and_finishes_those_that_are_open(ledger: Ledger) -> None:
    name, clock = make_job(ledger, spec_of()), Clock()
    ledger.record_predictions(name, predictions_of("abc", truth="cat"))
    assert tell(ledger, name, "RunStarted", run=1, runTime=TIME, cut=3) == ["RunStarted"]
    ledger.pause(name)
    clock.forward(days=3)
    Scheduler(ledger, clock=clock).do_due()
    assert types(ledger, name)[2:] == ["Paused", "DatasetCreated", "EvaluationCreated"]
    assert state(ledger, name) == "PAUSED"
    ledger.resume(name)
    assert state(ledger, name) == "SCHEDULED"
    Scheduler(ledger, clock=clock).do_due()
    assert types(ledger, name)[6:] == ["RunStarted", "RunFailed", "Scheduled"]


def test_three_runs_open_at_once_close_in_any_order(ledger: Ledger) -> None:
    name = make_job(ledger, spec_of(people=True))
    for run in (1, 2, 3):
        tell(ledger, name, "RunStarted", run=run, runTime=TIME, cut=0)
    assert state(ledger, name) == "RUNNING"
    assert tell(ledger, name, "EvaluationCreated", run=2) == ["EvaluationCreated"]
    ledger.pause(name)
    assert state(ledger, name) == "PAUSED"
    assert tell(ledger, name, "RunStarted", run=4, runTime=TIME, cut=0) == ["Contradicted"]
    assert tell(ledger, name, "EvaluationCreated", run=3) == ["EvaluationCreated"]
    ledger.resume(name)
    assert state(ledger, name) == "RUNNING"
    ledger.resume(name)  # Nothing happens.
    assert open_runs(ledger.get(name).output) == [1]
    failed = {"attemptTime": TIME, "partialFailures": [{"code": 13, "message": "no"}]}
    assert tell(ledger, name, "RunFailed", run=1, **failed) == ["RunFailed", "Scheduled"]
    assert state(ledger, name) == "SCHEDULED"
    assert types(ledger, name) == [
        "Created", "RunStarted", "RunStarted", "RunStarted", "EvaluationCreated", "Paused", "Contradicted",
        "EvaluationCreated", "Resumed", "Started", "RunFailed", "Scheduled",
    ]  # fmt: skip
    job = ledger.get(name)
    assert replay(Job(name=name), (e.event for e in ledger.history(name))) == job
    for version, expected in ((4, "RUNNING"), (6, "PAUSED"), (10, "RUNNING"), (12, "QUEUED")):
        then = ledger.get(name, as_of=f"v{version}").state
        assert then is not None
        assert then.name == expected
    with ledger.connection() as connection:
        assert verify(connection).findings == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("type_", "report"),
    [
        ("RunStarted", {"run": 3, "runTime": TIME, "cut": 9}),  # Run 2 is next.
        ("RunStarted", {"run": 1, "runTime": TIME, "cut": 9}),  # It started already.
        ("RunStarted", {"run": 2, "runTime": TIME, "cut": 1}),  # Before run 1's cut.
        ("DatasetCreated", {"run": 2}),
        ("LabelingCompleted", {"run": 2}),
        ("EvaluationCreated", {"run": 2}),
        ("RunFailed", {"run": 2, "attemptTime": TIME}),
    ],
)
def test_an_impossible_report_of_a_run_is_kept_as_contradicted(
    ledger: Ledger, type_: str, report: dict[str, Any]
) -> None:
    name = make_job(ledger, spec_of())
    tell(ledger, name, "RunStarted", run=1, runTime=TIME, cut=5)
    before = ledger.get(name)
    assert tell(ledger, name, type_, **report) == ["Contradicted"]
    after = ledger.get(name)
    assert (after.state, after.output) == (before.state, before.output)
    assert ledger.history(name)[-1].json["data"] == report


def test_only_evaluation_jobs_have_runs(ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/j")
    assert tell(ledger, "projects/p/jobs/j", "RunStarted", run=1, runTime=TIME) == ["Contradicted"]


def test_a_deleted_job_runs_no_more(ledger: Ledger) -> None:
    name, clock = make_job(ledger, spec_of()), Clock()
    ledger.record_predictions(name, predictions_of("abc", truth="cat"))
    tell(ledger, name, "RunStarted", run=1, runTime=TIME, cut=3)
    ledger.delete(name, stop=True)
    clock.forward(days=3)
    Scheduler(ledger, clock=clock).do_due()
    assert types(ledger, name)[2:] == ["Stopped", "Deleted"]


@pytest.mark.slow
def test_two_schedulers_at_once_do_each_thing_once(ledger: Ledger) -> None:
    from concurrent.futures import ThreadPoolExecutor

    names = [make_job(ledger, spec_of()) for _ in range(5)]
    for name in names:
        ledger.record_predictions(name, predictions_of("abc", truth="cat"))
    clocks = [Clock(BEGIN + timedelta(hours=2, seconds=n)) for n in range(4)]
    with ThreadPoolExecutor(4) as pool, ledger.connection() as connection:
        with connection.transaction():
            # Each works out its own evaluation of the first job, and waits to store it.
            connection.execute("LOCK TABLE evaluations IN SHARE MODE")
            all_done = [pool.submit(Scheduler(ledger, clock=clock).do_due) for clock in clocks]
            while connection.execute(WAITING).fetchone() != (4,):
                assert not any(done.done() for done in all_done)
        for done in all_done:
            done.result()
        assert verify(connection).findings == []
    for name in names:
        assert types(ledger, name) == [
            "Created", "RunStarted", "DatasetCreated", "EvaluationCreated", "Scheduled",
        ]  # fmt: skip


def test_boxes_are_evaluated_by_how_far_they_overlap(ledger: Ledger) -> None:
    name, clock = make_job(ledger, spec_of("IMAGE_BOUNDING_BOX_ANNOTATION")), Clock()

    def box(x: float, y: float) -> dict[str, Any]:
        return {"top_left": {"x": x, "y": y}, "bottom_right": {"x": x + 0.2, "y": y + 0.2}}

    given = []
    for number in range(10):
        truth = {"label": ["cat", "dog"], "box": [box(0.1, 0.1), box(0.6, 0.6)]}
        shift = 0.01 if number < 5 else 0.5  # Half of the cats are found, and all dogs.
        output = {
            "label": ["cat", "dog"],
            "score": [0.9, 0.8],
            "box": [box(0.1, 0.1 + shift), box(0.6, 0.6)],
        }
        given.append(Prediction({"text": f"gs://b/{number}.png"}, output, BEGIN, truth=truth))
    assert ledger.record_predictions(name, given).sampled == 10
    clock.forward(hours=2)
    Scheduler(ledger, clock=clock).do_due()
    every, *labels = read_evaluated(ledger.reader, name)[1]
    curves = {
        e["evaluationMetrics"]["objectDetectionMetrics"]["prCurve"]["annotationSpec"]["displayName"]: e["evaluationMetrics"]["objectDetectionMetrics"]["prCurve"]
        for e in labels
    }  # fmt: skip
    assert curves["dog"]["meanAveragePrecision"] == pytest.approx(1.0)
    assert 0.2 < curves["cat"]["meanAveragePrecision"] < 0.6
    [half] = [
        entry
        for entry in every["evaluationMetrics"]["objectDetectionMetrics"]["prCurve"]["confidenceMetricsEntries"]
        if entry["confidenceThreshold"] == 0.5
    ]  # fmt: skip
    assert (half["precision"], half["recall"]) == (0.75, 0.75)
    assert every["annotationType"] == "IMAGE_BOUNDING_BOX_ANNOTATION"


def test_several_labels_may_be_true(ledger: Ledger) -> None:
    name, clock = make_job(ledger, spec_of(multi_label=True)), Clock()
    output = {"label": ["cat", "dog", "cow"], "score": [0.9, 0.8, 0.1]}
    given = [Prediction({"text": f"{n}"}, output, BEGIN, truth=["cat", "dog"]) for n in range(4)]
    given.append(Prediction({"text": "none"}, output, BEGIN, truth=[]))
    assert ledger.record_predictions(name, given).sampled == 5
    clock.forward(hours=2)
    Scheduler(ledger, clock=clock).do_due()
    every = read_evaluated(ledger.reader, name)[1][0]
    curve = every["evaluationMetrics"]["classificationMetrics"]["prCurve"]
    assert every["evaluatedItemCount"] == "5"
    assert curve["meanAveragePrecision"] == pytest.approx(0.8)  # Of cat and dog; no cow was true.
    entry = curve["confidenceMetricsEntries"][50]
    assert (entry["precision"], entry["recall"]) == (0.8, 1.0)


def test_people_are_not_asked_for_boxes_beside_ones_in_pixels(ledger: Ledger) -> None:
    """They draw in shares of the image, which cannot be compared with pixels."""
    name = make_job(ledger, spec_of("IMAGE_BOUNDING_BOX_ANNOTATION", people=True))
    box = {"top_left": {"x": 10, "y": 10}, "bottom_right": {"x": 90, "y": 50}}
    output = {"label": ["cat"], "score": [0.9], "box": [box]}
    ledger.record_predictions(name, [Prediction({"text": "gs://b/1.png"}, output, BEGIN)])
    clock = Clock()
    clock.forward(hours=2)
    Scheduler(ledger, clock=clock).do_due()
    assert types(ledger, name)[1:] == ["RunStarted", "DatasetCreated", "RunFailed", "Scheduled"]
    [attempt] = ledger.get(name).output["attempts"]  # type: ignore[index]
    assert "in pixels" in attempt["partialFailures"][0]["message"]
