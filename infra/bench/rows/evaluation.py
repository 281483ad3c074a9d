"""Rows of evaluation jobs: recording predictions, and evaluating a hundred thousand of them."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import orjson
from jobledger.domain.job import Job
from jobledger.domain.metrics.evaluation import CONFIG
from jobledger.domain.metrics.examples import Truth
from jobledger.infra.bench.arena import Arena
from jobledger.infra.bench.meter import Reading
from jobledger.infra.bench.pairs import Sides
from jobledger.infra.evaluation.metrics.classification import Floats, Scored
from jobledger.infra.evaluation.metrics.evaluate import evaluate
from jobledger.infra.evaluation.samples.of_run import Sample
from jobledger.infra.evaluation.samples.outcomes import Prediction
from jobledger.infra.ledger import Ledger
from jobledger.infra.postgres.connections import Connection
from sklearn.metrics import auc, average_precision_score, confusion_matrix, precision_recall_curve

DIGITS: Final = 10
BATCH: Final = 1_000
JOB: Final = "projects/p/evaluationJobs/"
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


@contextmanager
def recording(arena: Arena) -> Iterator[Sides]:
    """Predictions recorded per second, all of them sampled, and INSERTs of the same rows in transactions of the same size."""
    recorded = arena.sizes.predictions
    batches = [_predictions(first) for first in range(0, recorded, BATCH)]
    count = BATCH * len(batches)
    with arena.opened() as ledger, ledger.connection() as connection:
        first = ledger.create(f"{JOB}first", {}, SPEC).name
        _record(ledger, first, batches)
        rows = connection.execute("SELECT * FROM samples ORDER BY number").fetchall()
        assert len(rows) == count
        numbers = itertools.count()

        def ours() -> Reading:
            name = ledger.create(f"{JOB}{next(numbers)}", {}, SPEC).name
            return arena.once(lambda: _record(ledger, name, batches), count)

        def theirs() -> Reading:
            connection.execute("DROP TABLE IF EXISTS plain")
            connection.execute("CREATE TABLE plain (LIKE samples, PRIMARY KEY (job, number))")
            return arena.once(lambda: _insert(connection, rows), count)

        yield Sides(ours, theirs)


def _record(ledger: Ledger, name: str, batches: list[list[Prediction]]) -> None:
    for batch in batches:
        ledger.record_predictions(name, batch)


def _insert(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    for first in range(0, len(rows), BATCH):
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(INSERT, rows[first : first + BATCH])


@contextmanager
def evaluating(arena: Arena) -> Iterator[Sides]:
    """Seconds to evaluate predictions as they are stored, beside sklearn's alone on ready matrices."""
    scored = digits(arena.sizes.examples)
    best = [among_best(scored, count) for count in (1, 5)]
    samples, truths = _stored(scored)
    job, now = Job(name=f"{JOB}1", spec=SPEC), datetime.now(UTC)

    def ours() -> Reading:
        with arena.meter() as meter:
            found = evaluate(job, 1, now, samples, truths, scored.labels, now.isoformat())
        assert found.items == arena.sizes.examples
        return meter.reading(meter.seconds, found.items)

    def theirs() -> Reading:
        with arena.meter() as meter:
            measures_peer(scored, best)
        return meter.reading(meter.seconds, arena.sizes.examples)

    yield Sides(ours, theirs)


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
