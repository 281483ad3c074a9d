"""Predictions are sampled once, by their keys, up to a limit; invalid ones are kept aside."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError, NotSamplingError
from jobledger.domain.events import parse_data
from jobledger.domain.metrics.examples import is_sampled, key_digest
from jobledger.infra import Ledger
from jobledger.infra.evaluation.samples.outcomes import Prediction
from jobledger.infra.evaluation.samples.reading import read_page, read_rejected

from tests.evaluation_jobs import BEGIN, make_job, predictions_of, spec_of


def begin_run(ledger: Ledger, name: str, run: int, cut: int) -> None:
    expected = {"run": run, "runTime": "2026-06-02T10:00:00Z", "cut": cut}
    assert ledger.report(name, parse_data("RunStarted", expected)).events[0].type == "RunStarted"


@pytest.mark.both_forms
def test_each_example_is_sampled_once(ledger: Ledger) -> None:
    name = make_job(ledger, spec_of())
    assert ledger.record_predictions(name, predictions_of("abc")) == (3, 0, 0, 0, [])
    assert ledger.record_predictions(name, predictions_of("bcdd")) == (1, 3, 0, 0, [])
    samples = read_page(ledger.reader, name, 0, 10)
    assert [sample["number"] for sample in samples] == [1, 2, 3, 4]
    assert [sample["input"]["text"] for sample in samples] == ["a", "b", "c", "d"]
    assert ledger.sampling(name) == {
        "sampled": 4, "repeated": 3, "passedOver": 0, "beyondCount": 0, "rejected": 0, "spoilt": 0,
    }  # fmt: skip


def test_examples_are_kept_by_a_hash_of_their_keys(ledger: Ledger) -> None:
    name = make_job(ledger, spec_of(fraction=0.3))
    texts = [f"text {n}" for n in range(1_000)]
    kept = [text for text in texts if is_sampled(name, key_digest(text), 0.3)]
    assert 250 < len(kept) < 350
    sampled = ledger.record_predictions(name, predictions_of(texts))
    assert (sampled.sampled, sampled.passed_over) == (len(kept), 1_000 - len(kept))
    assert [sample["input"]["text"] for sample in read_page(ledger.reader, name, 0, 1_000)] == kept


@pytest.mark.both_forms
def test_an_interval_has_room_for_so_many_examples(ledger: Ledger) -> None:
    name = make_job(ledger, spec_of(example_count=3))
    assert ledger.record_predictions(name, predictions_of("ab"))[:4] == (2, 0, 0, 0)
    assert ledger.record_predictions(name, predictions_of("abcde"))[:4] == (1, 2, 0, 2)
    assert ledger.record_predictions(name, predictions_of("xyz"))[:4] == (0, 0, 0, 3)
    begin_run(ledger, name, 1, 3)
    assert ledger.record_predictions(name, predictions_of("xyza"))[:4] == (3, 1, 0, 0)
    assert [sample["number"] for sample in read_page(ledger.reader, name, 0, 10)] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]


def test_predictions_are_sampled_while_it_is_scheduled_or_running(ledger: Ledger) -> None:
    name = make_job(ledger, spec_of())
    begin_run(ledger, name, 1, 0)
    assert ledger.record_predictions(name, predictions_of("a")).sampled == 1
    ledger.pause(name)
    with pytest.raises(NotSamplingError, match="PAUSED"):
        ledger.record_predictions(name, predictions_of("b"))
    ledger.resume(name)
    assert ledger.get(name).state.name == "RUNNING"  # type: ignore[union-attr]
    assert ledger.record_predictions(name, predictions_of("b")).sampled == 1
    ledger.delete(name, stop=True)
    with pytest.raises(JobNotFoundError):
        ledger.record_predictions(name, predictions_of("c"))
    assert ledger.history(name)[-2].type == "Stopped"


def test_only_an_evaluation_job_that_says_how_samples_predictions(ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/j")
    ledger.create("projects/p/evaluationJobs/bare", {}, {"description": "d"})
    for name, why in (("jobs/j", "not an evaluation job"), ("evaluationJobs/bare", "inputConfig")):
        with pytest.raises(NotSamplingError, match=why):
            ledger.record_predictions(f"projects/p/{name}", predictions_of("a"))
    with pytest.raises(JobNotFoundError):
        ledger.record_predictions("projects/p/evaluationJobs/none", predictions_of("a"))


REJECTED: list[tuple[Any, Any, Any, str]] = [
    ({"txt": "a"}, {"label": "x", "score": 1}, None, "the input has no 'text'"),
    ("a", {"label": "x", "score": 1}, None, "the input has no 'text'"),
    ({"text": "a"}, {"score": 1}, None, "the output has no 'label'"),
    ({"text": "a"}, {"label": "x"}, None, "the output has no 'score'"),
    ({"text": "a"}, {"label": ["x", "y"], "score": [1]}, None, "2 labels and 1 scores"),
    (
        {"text": "a"},
        {"label": "x", "score": 1.5},
        None,
        "the score 1.5 is not a number from 0 to 1",
    ),
    (
        {"text": "a"},
        {"label": "x", "score": True},
        None,
        "the score True is not a number from 0 to 1",
    ),
    (
        {"text": "a"},
        {"label": 7, "score": 1},
        None,
        "the label 7 is not a text of one character or more",
    ),
    ({"text": "a"}, None, None, "the output has no 'label'"),
    ({"text": "a"}, {"label": "x", "score": 1}, ["x", "y"], "the truth has 2 labels"),
    ({"text": "a"}, {"label": "x", "score": 1}, {"lable": "x"}, "the truth has no 'label'"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("data", "output", "truth", "why"), REJECTED)
def test_predictions_without_the_keys_are_counted_and_kept_aside(
    ledger: Ledger, data: Any, output: Any, truth: Any, why: str
) -> None:
    name = make_job(ledger, spec_of())
    given = [*predictions_of("z"), Prediction(data, output, BEGIN, truth=truth)]
    sampled = ledger.record_predictions(name, given)
    assert sampled.sampled == 1
    assert [rejected.place for rejected in sampled.rejected] == [1]
    assert why in sampled.rejected[0].why
    [kept] = read_rejected(ledger.reader, name, 0, 10)
    assert (kept["input"], kept["output"], kept["why"]) == (data, output, sampled.rejected[0].why)
    assert ledger.sampling(name)["rejected"] == 1


def test_truth_outside_the_annotation_spec_set_is_not_taken(ledger: Ledger) -> None:
    name = make_job(ledger, spec_of(spec_set="projects/p/annotationSpecSets/pets"))
    with ledger.connection() as connection:
        connection.execute(
            "SELECT keep_spec_set('projects/p/annotationSpecSets/pets', 'pets', '', %s)",
            ('[{"displayName": "cat", "index": 0}, {"displayName": "dog", "index": 1}]',),
        )
    sampled = ledger.record_predictions(
        name, [*predictions_of("a", truth="dog"), *predictions_of("b", truth="cow")]
    )
    assert sampled.sampled == 1
    assert "'cow' is not in the annotation spec set" in sampled.rejected[0].why
    with pytest.raises(InvalidFieldError, match=r"truths\[0\].truth"):
        ledger.record_truths(name, [("b", "cow")])


def test_a_truth_is_accepted_once_and_before_a_run_takes_the_sample(ledger: Ledger) -> None:
    name = make_job(ledger, spec_of())
    ledger.record_predictions(name, predictions_of("abc"))
    truths = [("a", "cat"), ("a", "cat"), ("a", "dog"), ("unheard", "cat")]
    outcomes = ["told", "repeated", "differs", "unknown"]
    assert ledger.record_truths(name, truths).outcomes == outcomes
    begin_run(ledger, name, 1, 3)
    assert ledger.record_truths(name, [("b", "cat"), ("a", "cat")]).outcomes == [
        "taken",
        "repeated",
    ]
    assert [s.get("groundTruth") for s in read_page(ledger.reader, name, 0, 9)] == [
        "cat",
        None,
        None,
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prediction", "field"),
    [
        (Prediction({"text": "a"}, {}, datetime(2026, 1, 1)), r"predictions\[0\].time"),  # noqa: DTZ001
        (
            Prediction(
                {"text": "a"}, {}, datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
            ),
            r"predictions\[0\].time: .* is not in the years 1 to 9999 of UTC",
        ),
        (Prediction({"text": "a\0"}, {}, BEGIN), r"predictions\[0\].input: has a NUL"),
        (Prediction({"text": "a"}, {"label": "\0"}, BEGIN), r"predictions\[0\].output: has a NUL"),
        (Prediction({"text": "a" * 300_000}, {}, BEGIN), r"predictions\[0\].input"),
        (Prediction({"text": object()}, {}, BEGIN), r"predictions\[0\]"),
        (
            Prediction({"text": {"@personal": {"subject": "s", "value": 1}}}, {}, BEGIN),
            r"predictions\[0\].input: has personal",
        ),
    ],
)
def test_a_batch_with_an_invalid_prediction_is_refused(
    ledger: Ledger, prediction: Prediction, field: str
) -> None:
    name = make_job(ledger, spec_of())
    with pytest.raises(InvalidFieldError, match=field):
        ledger.record_predictions(name, [prediction])
    assert ledger.sampling(name)["sampled"] == 0
    with pytest.raises(InvalidFieldError, match="the limit is 10000"):
        ledger.record_predictions(name, predictions_of("a") * 10_001)


@pytest.mark.slow
def test_many_at_once_number_samples_without_gaps(ledger: Ledger) -> None:
    name = make_job(ledger, spec_of(example_count=10_000))

    def record(worker: int) -> int:
        batches = [predictions_of(f"{worker % 4} {n} {k}" for k in range(20)) for n in range(10)]
        return sum(ledger.record_predictions(name, batch).sampled for batch in batches)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(record, range(8))) == 800
    numbers = [sample["number"] for sample in read_page(ledger.reader, name, 0, 1_000)]
    assert numbers == list(range(1, 801))
    assert ledger.sampling(name)["repeated"] == 800


def test_samples_cannot_be_changed(ledger: Ledger) -> None:
    name = make_job(ledger, spec_of())
    ledger.record_predictions(name, predictions_of("a", truth="cat"))
    with ledger.connection() as connection:
        for statement in (
            "UPDATE samples SET raw_data = '{}'",
            "UPDATE samples SET groundtruth = '\"dog\"'",
            "DELETE FROM samples",
            "TRUNCATE samples",
        ):
            with pytest.raises(Exception, match="only grows"):
                connection.execute(statement)
