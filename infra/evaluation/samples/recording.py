"""Sampling: which predictions of a model version an evaluation job keeps, to be evaluated by its runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError, NotSamplingError
from jobledger.domain.job import Job
from jobledger.domain.metrics import examples
from jobledger.domain.metrics.evaluation import Plan, read_plan
from jobledger.domain.states import ACTIVE, EVALUATION_JOBS
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import check_zone, parse_name
from jobledger.infra.evaluation.samples.outcomes import (
    Prediction,
    RejectedPrediction,
    Sampled,
    TruthOutcome,
)
from jobledger.infra.evaluation.samples.spec_sets import find_spec_set
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.privacy.envelope import MARKER
from jobledger.infra.read.reader import Reader

RECORD_SAMPLES: Final = sql.load(__package__, "record_samples")
RECORD_TRUTHS: Final = sql.load(__package__, "record_truths")
READ_SAMPLING: Final = sql.load(__package__, "read_sampling")
MAX_PREDICTIONS: Final = 10_000
"""The most predictions in one call."""
_SAMPLED_IN: Final = [state.name for state in sorted(ACTIVE)]
CHUNK: Final = 250
"""The number of predictions in one statement."""


def record_predictions(reader: Reader, name: str, predictions: Iterable[Prediction]) -> Sampled:
    """Samples predictions for an evaluation job that is SCHEDULED or RUNNING.

    Whether an example is sampled depends on its key alone (`is_sampled` in
    domain/metrics/examples.py). Each example is sampled once, until the interval has `exampleCount`
    examples. A prediction whose JSON lacks a field that the job's keys name is rejected by itself.
    `exampleSamplePercentage` and `exampleCount` are fields of Data Labeling's EvaluationJobConfig.

    Args:
        reader: The ledger of the job.
        name: The evaluation job's resource name.
        predictions: At most 10,000 predictions; their times have time zones.

    Returns:
        How many predictions were sampled, repeated, left out or rejected.

    Raises:
        JobNotFoundError: There is no such job.
        NotSamplingError: The job is not an evaluation job, or samples nothing in its state.
        InvalidFieldError: The call is too large, or a value is not JSON.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> from datetime import UTC, datetime
        >>> from jobledger import Prediction
        >>> spec = {"evaluationJobConfig": {
        ...     "inputConfig": {"dataType": "TEXT", "annotationType": "TEXT_CLASSIFICATION_ANNOTATION"},
        ...     "bigqueryImportKeys": {
        ...         "data_json_key": "text", "label_json_key": "label", "label_score_json_key": "score"
        ...     },
        ...     "exampleCount": 10, "exampleSamplePercentage": 1.0,
        ... }}
        >>> job = "projects/demo/evaluationJobs/e"
        >>> _ = ledger.create(job, spec=spec)
        >>> _ = ledger.started(job)
        >>> seen = Prediction({"text": "a cat"}, {"label": ["cat"], "score": [0.9]}, datetime.now(UTC), key="1")
        >>> ledger.record_predictions(job, [seen]).sampled, ledger.record_predictions(job, [seen]).repeated
        (1, 1)
    """
    given = list(predictions)
    if len(given) > MAX_PREDICTIONS:
        why = f"there are {len(given)} predictions; the limit is {MAX_PREDICTIONS}"
        raise InvalidFieldError("predictions", why)
    job, plan = _sampler(reader, name)
    with translated(), reader.pool.connection() as connection:
        sorting = _Sorting(job.name, plan, find_spec_set(connection, plan.spec_set))
        rows = _record(connection, sorting, given)
    state, counts = rows[0][0], list(zip(*rows, strict=True))[1:]
    if None in counts[0]:
        raise _refusal(job.name, state)
    sampled, repeated, beyond_count = map(sum, counts)
    return Sampled(sampled, repeated, sorting.passed_over, beyond_count, sorting.rejected)


def record_truths(reader: Reader, name: str, truths: Sequence[tuple[str, Any]]) -> TruthOutcome:
    """Records the ground truth of sampled examples, as long as no run has taken them.

    If Data Labeling's EvaluationJob.labelMissingGroundTruth is true, a run asks human labelers for the rest.

    Args:
        reader: The ledger of the job.
        name: The evaluation job's resource name.
        truths: At most 10,000 pairs of an example's key and its ground truth as JSON.

    Returns:
        The outcome of each, in their order; see TruthOutcome.

    Raises:
        JobNotFoundError: There is no such job.
        NotSamplingError: The job is not an evaluation job, or its configuration cannot be read.
        InvalidFieldError: A truth is not allowed by the job's keys or annotation spec set; nothing
            is recorded.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> from datetime import UTC, datetime
        >>> from jobledger import Prediction
        >>> spec = {"evaluationJobConfig": {
        ...     "inputConfig": {"dataType": "TEXT", "annotationType": "TEXT_CLASSIFICATION_ANNOTATION"},
        ...     "bigqueryImportKeys": {
        ...         "data_json_key": "text", "label_json_key": "label", "label_score_json_key": "score"
        ...     },
        ...     "exampleCount": 10, "exampleSamplePercentage": 1.0,
        ... }}
        >>> job = "projects/demo/evaluationJobs/e"
        >>> _ = ledger.create(job, spec=spec)
        >>> _ = ledger.started(job)
        >>> seen = Prediction({"text": "a cat"}, {"label": ["cat"], "score": [0.9]}, datetime.now(UTC), key="1")
        >>> _ = ledger.record_predictions(job, [seen])
        >>> ledger.record_truths(job, [("1", ["cat"]), ("2", ["dog"])]).outcomes
        ['told', 'unknown']
    """
    if len(truths) > MAX_PREDICTIONS:
        raise InvalidFieldError(
            "truths", f"there are {len(truths)} truths; the limit is {MAX_PREDICTIONS}"
        )
    job, plan = _sampler(reader, name)
    with translated(), reader.pool.connection() as connection:
        allowed = find_spec_set(connection, plan.spec_set)
        texts = [_truth_text(plan, allowed, n, value) for n, (_, value) in enumerate(truths)]
        keys = [examples.key_digest(key) for key, _ in truths]
        row = connection.execute(RECORD_TRUTHS, (job.name, keys, texts)).fetchone()
    assert row is not None
    return TruthOutcome(row[0])


def sampling(reader: Reader, name: str) -> JsonObject:
    """Counts the outcomes of an evaluation job's predictions since it was created.

    Args:
        reader: The ledger of the job.
        name: The evaluation job's resource name.

    Returns:
        The numbers `sampled`, `repeated`, `passedOver`, `beyondCount` and `rejected`; `spoilt` is
        the former name of `rejected`.

    Raises:
        JobNotFoundError: There is no such job.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> _ = ledger.create("projects/demo/evaluationJobs/e")
        >>> ledger.sampling("projects/demo/evaluationJobs/e")["sampled"]
        0
    """
    job = reader.get(name)
    with translated(), reader.pool.connection() as connection:
        row = connection.execute(READ_SAMPLING, (job.name,)).fetchone() or (0, 0, 0, 0, 0)
    fields = ("sampled", "repeated", "passedOver", "beyondCount", "rejected")
    return dict(zip(fields, row, strict=True)) | {"spoilt": row[-1]}


def _sampler(reader: Reader, name: str) -> tuple[Job, Plan]:
    job = reader.get(parse_name(name))
    if job.kind != EVALUATION_JOBS:
        raise NotSamplingError(job.name, "it is not an evaluation job")
    try:
        return job, read_plan(job.spec)
    except InvalidFieldError as error:
        raise NotSamplingError(job.name, str(error)) from None


def _refusal(name: str, state: str | None) -> Exception:
    if state is None:
        return JobNotFoundError(name)
    shown = {"CANCELLED": "STOPPED"}.get(state, state)
    return NotSamplingError(name, f"it is {shown}; it must be SCHEDULED or RUNNING")


def _record(
    connection: Connection, sorting: _Sorting, given: Sequence[Prediction]
) -> list[tuple[Any, ...]]:
    """All or nothing; while the server takes some of them in, the next ones are made ready."""
    with connection.transaction(), connection.pipeline():
        asked = []
        for first in range(0, max(len(given), 1), CHUNK):
            arguments = sorting.sort(first, given[first : first + CHUNK])
            asked.append(connection.execute(RECORD_SAMPLES, arguments))
            connection.pgconn.send_flush_request()
            connection.pgconn.flush()
        return [cursor.fetchone() or () for cursor in asked]


class _Sorting:
    """Sorts the predictions of one call by what becomes of them."""

    def __init__(self, name: str, plan: Plan, allowed: Sequence[str] | None) -> None:
        """`allowed` are the labels of the job's annotation spec set, None if it is not known."""
        self.rejected: list[RejectedPrediction] = []
        self.passed_over = 0
        self._name = name
        self._plan = plan
        self._allowed = allowed
        self._keys: set[bytes] = set()

    def sort(self, first: int, given: Sequence[Prediction]) -> tuple[Any, ...]:
        """The parameters of `record_samples` for some predictions; `first` is the index of the first."""
        _check(first, given)
        ready, aside = list[JsonObject](), list[JsonObject]()
        passed_over, repeated = self.passed_over, 0
        for index, prediction in enumerate(given, first):
            row = _row(index, prediction)
            try:
                key = _checked(self._plan, self._allowed, prediction)
            except examples.RejectedError as error:
                self.rejected.append(RejectedPrediction(index, str(error)))
                aside.append(row | {"n": len(aside) + 1, "why": str(error)})
                continue
            if not examples.is_sampled(self._name, key, self._plan.fraction):
                self.passed_over += 1
            elif key in self._keys:
                repeated += 1
            else:
                self._keys.add(key)
                row["n"], row["key"] = index, key.hex()
                ready.append(row)
        plan, texts = self._plan, [orjson.dumps(rows).decode() for rows in (ready, aside)]
        counts = self.passed_over - passed_over, repeated
        head = self._name, plan.example_count, plan.model, plan.model_version
        return (*head, *texts, *counts, _SAMPLED_IN)


def _row(index: int, prediction: Prediction) -> JsonObject:
    """Returns the prediction as it is stored."""
    row: JsonObject = {
        "time": prediction.time.isoformat(),  # It may be of a class of somebody's own.
        "data": prediction.input,
        "prediction": prediction.output,
    }
    if prediction.truth is not None:
        try:
            row["truth"] = orjson.Fragment(canonical.encode_any(prediction.truth))
        except InvalidFieldError as error:
            raise InvalidFieldError(f"predictions[{index}].truth", error.why) from None
    return row


def _check(first: int, given: Sequence[Prediction]) -> None:
    """Raises InvalidFieldError for what cannot be stored, with its place in the call."""
    for index, prediction in enumerate(given, first):
        _check_time(f"predictions[{index}].time", prediction.time)
    try:
        encoded = orjson.dumps([prediction[:2] for prediction in given])
        doubtful = MARKER in encoded or canonical.has_nul(encoded)
        if len(encoded) <= examples.MAX_BYTES and not doubtful:
            return  # None of them alone can be too large, then.
    except orjson.JSONEncodeError:
        pass
    for index, prediction in enumerate(given, first):
        for field in ("input", "output", "truth"):
            _check_json(f"predictions[{index}].{field}", getattr(prediction, field))


def _check_time(field: str, time: datetime) -> None:
    try:
        check_zone(field, time).astimezone(UTC)
    except OverflowError:
        raise InvalidFieldError(field, f"{time} is not in the years 1 to 9999 of UTC") from None


def _check_json(field: str, value: Any) -> None:
    try:
        encoded = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise InvalidFieldError(field, f"is not JSON: {error}") from None
    if len(encoded) > examples.MAX_BYTES:
        raise InvalidFieldError(field, f"{len(encoded)} bytes; the limit is {examples.MAX_BYTES}")
    if canonical.has_nul(encoded):
        raise InvalidFieldError(field, canonical.HAS_NUL)
    if MARKER in encoded:
        # A sample is not an event, so it could not be erased with a subject's key.
        raise InvalidFieldError(
            field, "has personal values, which cannot be sampled; leave them out"
        )


def _checked(plan: Plan, allowed: Sequence[str] | None, prediction: Prediction) -> bytes:
    """The digest of its key; raises RejectedError."""
    key = examples.example_key(plan, prediction.input) if prediction.key is None else prediction.key
    examples.read_prediction(plan, prediction.output)
    if prediction.truth is not None:
        examples.check_labels(examples.read_truth(plan, prediction.truth).labels, allowed)
    return examples.key_digest(key)


def _truth_text(plan: Plan, allowed: Sequence[str] | None, index: int, value: Any) -> str:
    field = f"truths[{index}].truth"
    try:
        examples.check_labels(examples.read_truth(plan, value).labels, allowed)
        return canonical.encode_any(value).decode()
    except examples.RejectedError as error:
        raise InvalidFieldError(field, str(error)) from None
    except InvalidFieldError as error:
        raise InvalidFieldError(field, error.why) from None
