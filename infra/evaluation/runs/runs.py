"""An evaluation job's runs, continued from their current step.

Each step is one write to the job. What a run has done so far is in the job's history, so that
after a crash another scheduler continues with the next step: nothing is done twice, and no sample is lost.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
from jobledger.domain import errors
from jobledger.domain import run_events as r
from jobledger.domain.commands import StepRun
from jobledger.domain.data import Data
from jobledger.domain.job import Job
from jobledger.domain.metrics.evaluation import Plan, names_of, read_plan
from jobledger.domain.metrics.examples import read_prediction
from jobledger.domain.metrics.run_digests import digest_of_evaluations, digest_of_samples
from jobledger.domain.runs import last_run, open_runs
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.times import utc_text
from jobledger.infra.evaluation.samples.of_run import Sample, run_range, run_samples
from jobledger.infra.evaluation.samples.spec_sets import find_spec_set
from jobledger.infra.evaluation.tasks.ground_truth import run_truths
from jobledger.infra.evaluation.tasks.labeling import complete_if_answered
from jobledger.infra.evaluation.tasks.tasks import find_task
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.read.reader import Reader
from jobledger.infra.read.store import Store

SETTLE_SAMPLES: Final = sql.load(__package__, "settle_samples")
KEEP_EVALUATIONS: Final = sql.load(__package__, "keep_evaluations")
READ_EVALUATIONS: Final = sql.load(__package__, "read_evaluations")
INVALID_ARGUMENT: Final = 3
FAILED_PRECONDITION: Final = 9
INTERNAL: Final = 13

Facts = tuple[Data, ...]


class Run(NamedTuple):
    """A run, and its events so far by type."""

    job: Job
    number: int
    events: Mapping[str, Any]

    @property
    def time(self) -> datetime:
        """The moment it was due, UTC."""
        return datetime.fromisoformat(self.events["RunStarted"].run_time)


def start_run(store: Store, job: Job, due: datetime, actor: str) -> bool:
    """Starts the job's next run, on all samples so far; False if another scheduler did, or the job may not run."""
    with translated(), store.reader.pool.connection() as connection:
        cut = int(connection.execute(SETTLE_SAMPLES, (job.name,)).fetchone()[0])  # type: ignore[index]
    last = last_run(job.output)
    started = r.RunStarted(run=last.run + 1, run_time=utc_text(due), cut=max(cut, last.cut))
    return _record(store, job.name, (started,), actor)


def carry_on(
    store: Store, name: str, number: int, now: datetime, actor: str, *, evaluates: bool = True
) -> None:
    """Takes all the steps of a run that can be taken now: to its end, or until people have to answer.

    Without `evaluates` the step that evaluates predictions is left for another process.
    """
    while True:
        run = _read(store.reader, name, number)
        facts = _next_step(store, run, now, evaluates=evaluates)
        try:
            if not facts or not _record(store, name, facts, actor, run.job.etag):
                return
        except errors.EtagMismatchError:
            continue  # Another process wrote to the job, perhaps this very step.


def _read(reader: Reader, name: str, number: int) -> Run:
    job = reader.get(name)
    fields = {
        event.type: event.data
        for event in reader.history(name)
        if event.schema and getattr(event.data, "run", None) == number
    }
    return Run(job, number, fields)


def _record(store: Store, name: str, facts: Facts, actor: str, etag: str | None = None) -> bool:
    try:
        store.writer.command(name, StepRun(facts=facts, etag=etag), actor=actor)
    except errors.IllegalTransitionError:
        return False  # The run is over, or the job was stopped.
    return True


def _next_step(store: Store, run: Run, now: datetime, *, evaluates: bool) -> Facts:
    """The events to record next; none if the run has ended, or waits for labelers or another process."""
    if run.number not in open_runs(run.job.output):
        return ()
    try:
        plan = read_plan(run.job.spec)
        if "DatasetCreated" not in run.events:
            return _dataset(store.reader, run, now)
        if plan.by_people and "LabelingRequested" not in run.events:
            requested = _request(store.reader, run, plan)
            if requested:
                return requested
        if "LabelingRequested" in run.events and "LabelingCompleted" not in run.events:
            complete_if_answered(store, find_task(store.reader, run.job.name, run.number))
            return ()
        return _evaluation(store.reader, run, plan, now) if evaluates else ()
    except errors.InvalidFieldError as error:
        return _failed(run, now, INVALID_ARGUMENT, str(error))
    except errors.LedgerError:
        raise
    except Exception as error:
        return _failed(run, now, INTERNAL, f"{type(error).__name__}: {error}")


def _dataset(reader: Reader, run: Run, now: datetime) -> Facts:
    """The run's samples, which no longer change: no ground truth is recorded for a sample that a run has taken."""
    with translated(), reader.pool.connection() as connection:
        connection.execute(SETTLE_SAMPLES, (run.job.name,))
        first, last = run_range(connection, run.job.name, run.number)
        digest, count = digest_of_samples(run_samples(connection, run.job.name, first, last))
    if not count:
        return _failed(run, now, FAILED_PRECONDITION, "nothing was sampled since the last run")
    dataset = names_of(run.job.name, run.number).dataset
    created = r.DatasetCreated(run=run.number, dataset=dataset, example_count=count, digest=digest)
    return (created,)


def _request(reader: Reader, run: Run, plan: Plan) -> Facts:
    """Asks people for the truths that are missing, if any are."""
    with translated(), reader.pool.connection() as connection:
        first, last = run_range(connection, run.job.name, run.number)
        samples = [*run_samples(connection, run.job.name, first, last)]
        missing = sum(sample.groundtruth is None for sample in samples)
        if missing and plan.boxes:
            _check_parts(plan, samples)
        labels = find_spec_set(connection, plan.spec_set)
    if not missing:
        return ()
    return (
        r.LabelingRequested(
            run=run.number,
            question_count=missing,
            replica_count=plan.replica_count,
            aggregation=plan.aggregation,
            instruction=plan.instruction,
            labels=labels or [],
            multi_label=plan.multi_label,
        ),
    )


def _check_parts(plan: Plan, samples: Iterable[Sample]) -> None:
    """Raises InvalidFieldError for boxes in pixels: people draw theirs in parts of the image."""
    for sample in samples:
        for box in read_prediction(plan, orjson.loads(sample.raw_prediction)).boxes:
            if max(box.x1, box.y1) > 1:
                why = (
                    "its boxes are in pixels; labelers draw boxes in fractions of the image, 0 to 1"
                )
                raise errors.InvalidFieldError(f"sample {sample.number}", why)


def _evaluation(reader: Reader, run: Run, plan: Plan, now: datetime) -> Facts:
    """Compares predictions with ground truth; the result is stored before its event is recorded."""
    found = _kept(reader, run)
    if found is None and _work_out(reader, run, plan, now):
        found = _kept(reader, run)  # Of another scheduler, if one was faster.
    if found is None:
        count = run.events["DatasetCreated"].example_count
        why = f"none of the {count} examples has ground truth"
        return _failed(run, now, FAILED_PRECONDITION, why)
    first = orjson.loads(found)[0]
    (metrics,) = first["evaluationMetrics"].values()
    precision = metrics["prCurve"]["meanAveragePrecision"]
    created = r.EvaluationCreated(
        run=run.number,
        evaluation=first["name"],
        evaluated_item_count=int(first["evaluatedItemCount"]),
        mean_average_precision=precision,
        area_under_curve=metrics["prCurve"]["areaUnderCurve"],
        digest=digest_of_evaluations(found),
    )
    if precision >= plan.min_precision:
        return (created,)
    alert = r.AlertRaised(
        run=run.number,
        evaluation=first["name"],
        mean_average_precision=precision,
        min_acceptable_mean_average_precision=plan.min_precision,
        email=plan.email,
    )
    return (created, alert)


def _kept(reader: Reader, run: Run) -> bytes | None:
    """The result that is stored; None before that."""
    with translated(), reader.pool.connection() as connection:
        row = connection.execute(READ_EVALUATIONS, (run.job.name, run.number)).fetchone()
    return None if row is None else row[0].encode()


def _work_out(reader: Reader, run: Run, plan: Plan, now: datetime) -> bool:
    """Stores the evaluations, unless some are; returns false if no ground truth is known."""
    from jobledger.infra.evaluation.metrics.evaluate import evaluate

    name = run.job.name
    with translated(), reader.pool.connection() as connection:
        first, last = run_range(connection, name, run.number)
        truths = run_truths(connection, run.job, run.number)
        if not truths:
            return False
        labels = find_spec_set(connection, plan.spec_set)
        samples = run_samples(connection, name, first, last)
        found = evaluate(run.job, run.number, run.time, samples, truths, labels, utc_text(now))
        text = canonical.encode_any(found.evaluations)
        short = bool(plan.email) and found.mean_average_precision < plan.min_precision
        dataset = names_of(name, run.number).dataset
        kept = (name, run.number, dataset, now, text.decode(), short)
        connection.execute(KEEP_EVALUATIONS, kept)
    return True


def _failed(run: Run, now: datetime, code: int, message: str) -> Facts:
    failures: list[JsonObject] = [{"code": code, "message": message}]
    failed = r.RunFailed(run=run.number, attempt_time=utc_text(now), partial_failures=failures)
    return (failed,)
