"""What evaluation jobs are measured by: recording predictions, and evaluating a hundred thousand of them."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import orjson
from jobledger.domain.job import Job
from jobledger.domain.metrics.evaluation import CONFIG
from jobledger.domain.metrics.examples import Truth
from jobledger.infra.bench.arena import Arena, Pair
from jobledger.infra.evaluation.metrics.classification import Floats, Scored
from jobledger.infra.evaluation.metrics.evaluate import evaluate
from jobledger.infra.evaluation.samples.of_run import Sample
from jobledger.infra.evaluation.samples.recording import Prediction
from sklearn.metrics import auc, average_precision_score, confusion_matrix, precision_recall_curve

DIGITS: Final = 10
RECORDED: Final = 50_000
BATCH: Final = 1_000
EVALUATED: Final = 100_000
PAYLOAD: Final = "x" * 100
INSERT: Final = "INSERT INTO plain VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
SPEC: Final[dict[str, Any]] = {
    "modelVersion": "projects/p/models/digits/versions/v1",
    CONFIG: {
        "inputConfig": {
            "dataType": "TEXT",
            "annotationType": "TEXT_CLASSIFICATION_ANNOTATION",
            "classificationMetadata": {},
        },
        "bigqueryImportKeys": {
            "data_json_key": "text",
            "label_json_key": "label",
            "label_score_json_key": "score",
        },
        "exampleCount": 10**9,
        "exampleSamplePercentage": 1.0,
    },
}
SEED: Final = 1797
CERTAINTY: Final = 3.0
"""How much more the true digit weighs: some nine in ten are right then."""


def recording(arena: Arena) -> Pair:
    """Predictions a second, sampled all, beside INSERTs of the very same rows, as many a transaction."""
    with arena.ledger() as made, arena.open(made) as ledger:
        name = ledger.create("projects/p/evaluationJobs/1", {}, SPEC).name
        batches = [_predictions(first) for first in range(0, RECORDED, BATCH)]
        begin = time.monotonic()
        for batch in batches:
            ledger.record_predictions(name, batch)
        ours = time.monotonic() - begin
        with ledger.connection() as connection:
            rows = connection.execute("SELECT * FROM samples ORDER BY number").fetchall()
            connection.execute("CREATE TABLE plain (LIKE samples, PRIMARY KEY (job, number))")
            begin = time.monotonic()
            for first in range(0, RECORDED, BATCH):
                with connection.transaction(), connection.cursor() as cursor:
                    cursor.executemany(INSERT, rows[first : first + BATCH])
            theirs = time.monotonic() - begin
    assert len(rows) == RECORDED
    return RECORDED / ours, RECORDED / theirs


def evaluating(arena: Arena) -> Pair:
    """Seconds to evaluate predictions as they are stored, beside sklearn's alone on ready matrices."""
    if "evaluated" not in arena.kept:
        scored = digits(EVALUATED)
        best = [among_best(scored, count) for count in (1, 5)]
        arena.kept["evaluated"] = scored, best, *_stored(scored)
    scored, best, samples, truths = arena.kept["evaluated"]
    job, now = Job(name="projects/p/evaluationJobs/1", spec=SPEC), datetime.now(UTC)
    begin = time.monotonic()
    found = evaluate(job, 1, now, samples, truths, scored.labels, now.isoformat())
    ours = time.monotonic() - begin
    assert found.items == EVALUATED
    begin = time.monotonic()
    measures_peer(scored, best)
    return ours, time.monotonic() - begin


def _predictions(first: int) -> list[Prediction]:
    now = datetime.now(UTC)
    labels = [str(digit) for digit in range(DIGITS)]
    scores = [round(0.1 + digit / 100, 4) for digit in range(DIGITS)]
    return [
        Prediction(
            {"text": f"{PAYLOAD} {number}"}, {"label": labels, "score": scores}, now, truth="7"
        )
        for number in range(first, first + BATCH)
    ]


def _stored(scored: Scored) -> tuple[list[Sample], dict[int, Truth]]:
    """The same as rows of `samples`."""
    now, labels = datetime.now(UTC), list(scored.labels)
    samples = [
        Sample(n, now, "{}", orjson.dumps({"label": labels, "score": scores}).decode(), None)
        for n, scores in enumerate(scored.scores.tolist(), 1)
    ]
    truths = {n: Truth([labels[best]]) for n, best in enumerate(scored.truth.argmax(axis=1), 1)}
    return samples, truths


def digits(examples: int) -> Scored:
    """Single labels with a score for each digit, as a classifier's softmax gives them."""
    random = np.random.default_rng(SEED)
    truth = np.eye(DIGITS, dtype=np.bool_)[random.integers(DIGITS, size=examples)]
    weights = np.exp(random.normal(size=truth.shape) + CERTAINTY * truth)
    scores = weights / weights.sum(axis=1, keepdims=True)
    return Scored([str(digit) for digit in range(DIGITS)], truth, scores)


def among_best(scored: Scored, count: int) -> Floats:
    """The scores, with -1 for all but each example's best ones."""
    best = np.argsort(-scored.scores, axis=1, kind="stable")[:, :count]
    scores = np.full_like(scored.scores, -1)
    np.put_along_axis(scores, best, np.take_along_axis(scored.scores, best, axis=1), axis=1)
    return scores


def measures_peer(scored: Scored, best: Sequence[Floats]) -> None:
    """One call for each measure, of each label and of all; entries are not even read off the curves."""
    truth, labels = scored.truth, range(len(scored.labels))
    for true, scores, *others in (
        *((truth[:, label], *(of[:, label] for of in (scored.scores, *best))) for label in labels),
        (truth.ravel(), *(of.ravel() for of in (scored.scores, *best))),
    ):
        precision, recall, _ = precision_recall_curve(true, scores)
        auc(recall, precision)
        average_precision_score(true, scores)
        for other in others:
            precision_recall_curve(true, other)
    confusion_matrix(truth.argmax(axis=1), scored.scores.argmax(axis=1), labels=labels)
