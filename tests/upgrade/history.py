"""A small ledger that has every kind of event, state and row, for the upgrade test's fixtures."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_DNS, uuid5

from eventsourcing.persistence import StoredEvent, Tracking
from jobledger.domain.events import parse_data
from jobledger.infra import Ledger
from jobledger.infra.evaluation.runs.scheduler import Scheduler
from jobledger.infra.evaluation.samples.outcomes import Prediction
from jobledger.infra.recorder import Factory
from jobledger.infra.transfer.traces.simulation import simulate
from psycopg.conninfo import conninfo_to_dict

from tests.evaluation_jobs import Clock, predictions_of, spec_of
from tests.ledgers import odd_jobs

BEGIN: Final = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
SPEC: Final = {"trainingInput": {"region": "eu-west4", "scaleTier": "BASIC"}, "ü": [0.1, None]}
Step = Callable[..., object]


def personal(value: object, subject: str) -> dict[str, Any]:
    """JSON that is stored encrypted under the subject's key."""
    return {"@personal": {"subject": subject, "value": value}}


def write_ended(ledger: Ledger) -> None:
    """Jobs that have all ended, for a pruning to take."""
    ledger.append_many(simulate(6, 1, "old"))
    name = "projects/old/jobs/deleted"
    steps: tuple[Step, ...] = (ledger.create, ledger.cancel, ledger.delete)
    for minute, step in enumerate(steps):
        step(name, occurred_time=BEGIN + timedelta(minutes=minute))


def write_rest(dsn: str, ledger: Ledger) -> None:
    """Jobs in every state and of several kinds, evaluation jobs, and events of other aggregates."""
    ledger.append_many(odd_jobs())
    ledger.append_many(simulate(20, 9, "sim"))
    _write_states(ledger)
    _write_reported_late(ledger)
    _write_personal(ledger)
    _write_evaluations(ledger)
    _write_foreign(dsn, ledger)


def _write_states(ledger: Ledger) -> None:
    """One job a state, named after it, and how it came there."""
    error = {"code": 8, "message": "out of memory", "details": [{"node": "n1"}]}
    start: tuple[Step, ...] = (ledger.create, ledger.queued, ledger.preparing, ledger.started)
    ways: dict[str, tuple[Step, ...]] = {
        "queued": start[:2],
        "pending": start[:3],
        "running": (*start, ledger.progress_reported),
        "succeeded": (*start, lambda name, **at: ledger.succeeded(name, {"acc": 0.5}, **at)),
        "failed": (*start, lambda name, **at: ledger.failed(name, error, **at)),
        "cancelling": (*start, lambda name, **at: ledger.cancel(name, "too dear", **at)),
        "cancelled": (ledger.create, ledger.cancel),
        "paused": (*start, ledger.pause),
        "resumed": (*start, ledger.pause, ledger.resume),
        "expired": (*start, ledger.expired),
        "updating": (*start, lambda name, **at: ledger.update(name, {"replicas": 2}, **at)),
        "updated": (*start, ledger.updating, lambda name, **at: ledger.updated(name, spec=SPEC, **at)),
        "partial": (*start, ledger.partially_succeeded),
        "retried": (*start, lambda name, **at: ledger.failed(name, error, **at), ledger.retry),
        "deleted": (*start, ledger.succeeded, ledger.delete),
        "labeled": (ledger.create, lambda name, **at: ledger.change_labels(name, {"team": "b"}, **at)),
        "shared": (
            ledger.create,
            lambda name, **at: ledger.change_policy(name, {"bindings": [{"role": "r"}]}, **at),
            lambda name, **at: ledger.change_config(name, {"changed": True}, **at),
        ),
    }  # fmt: skip
    kinds = ("jobs", "locations/l/customJobs", "locations/l/pipelineJobs", "trainingPipelines")
    for number, (job, steps) in enumerate(ways.items()):
        name = f"projects/p/{kinds[number % len(kinds)]}/{job}"
        for minute, step in enumerate(steps):
            given: dict[str, Any] = {
                "occurred_time": BEGIN + timedelta(minutes=20 * number + minute)
            }
            if step == ledger.create:
                given |= {"labels": {"team": "a", "env": job}, "spec": SPEC, "actor": "ann"}
                given |= {"request_id": f"create-{job}"}
            step(name, **given)


def _write_reported_late(ledger: Ledger) -> None:
    """A contradicted report, and two that come after what happened later."""
    name = "projects/p/jobs/misreported"
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    ledger.create(name, {"team": "late"}, occurred_time=BEGIN)
    ledger.started(
        name, {"worker": "w-1"}, occurred_time=BEGIN + timedelta(hours=2), trace_parent=trace
    )
    ledger.failed(name, {"code": 4, "message": "late"}, occurred_time=BEGIN + timedelta(hours=5))
    ledger.succeeded(name, occurred_time=BEGIN + timedelta(hours=4), actor="bob")
    ledger.progress_reported(
        name, {"output": {"done": 1}}, occurred_time=BEGIN + timedelta(hours=3)
    )
    ledger.retry(name, occurred_time=BEGIN + timedelta(hours=6))
    ledger.queued(name, occurred_time=BEGIN + timedelta(hours=1))


def _write_personal(ledger: Ledger) -> None:
    """Personal values of two subjects, one of which is for an erasure to take."""
    for job, subject in (("kept", "user:alice"), ("erased", "user:bob")):
        name = f"projects/p/jobs/personal_{job}"
        spec = {"owner": personal({"name": job}, subject), "n": 1}
        ledger.create(name, {}, spec, occurred_time=BEGIN)
        ledger.started(name, occurred_time=BEGIN + timedelta(minutes=1))
        error = {"code": 3, "message": "", "details": [personal("::1", subject)]}
        ledger.failed(name, error, occurred_time=BEGIN + timedelta(minutes=2))


def _write_evaluations(ledger: Ledger) -> None:
    """Evaluation jobs: evaluated, failed, asking people, with rejected predictions, stopped."""
    with ledger.connection() as connection:
        labels = '[{"displayName":"cat","index":0},{"displayName":"dog","index":1}]'
        given = ("projects/p/annotationSpecSets/1", "pets", "of pictures", labels)
        connection.execute("SELECT keep_spec_set(%s, %s, %s, %s::json)", given)
    clock = Clock(BEGIN)
    alert = {"email": "ops@example.com", "minAcceptableMeanAveragePrecision": 0.99}
    jobs = {"evaluated": False, "asking": True, "answered": True, "empty": False}
    for job, people in jobs.items():
        spec = spec_of(people=people, alert=alert)
        ledger.create(f"projects/p/evaluationJobs/{job}", {}, spec, occurred_time=BEGIN)
    evaluated, asking, answered, _ = (f"projects/p/evaluationJobs/{job}" for job in jobs)
    rejected = Prediction({"text": "no label"}, {"score": 0.5}, BEGIN)
    ledger.record_predictions(
        evaluated, [*predictions_of("abc", truth="cat"), rejected, *predictions_of("d")]
    )
    ledger.record_predictions(evaluated, predictions_of("ab", truth="cat"))
    [sample, *_] = predictions_of(["told later"])
    ledger.record_predictions(evaluated, [sample._replace(key="later")])
    ledger.record_truths(evaluated, [("later", "dog"), ("unknown", "cat")])
    ledger.record_predictions(asking, predictions_of("xy"))
    ledger.record_predictions(answered, predictions_of("z"))
    for hours in (2, 24):
        clock.forward(hours=hours)
        Scheduler(ledger, clock=clock).do_due()
    ledger.report(answered, parse_data("LabelingCompleted", {"run": 1, "answerCount": 1}))
    ledger.record_predictions(evaluated, predictions_of("efgh"))
    stopped = "projects/p/evaluationJobs/stopped"
    ledger.create(stopped, {}, spec_of(), occurred_time=BEGIN)
    ledger.delete(stopped, stop=True, occurred_time=BEGIN + timedelta(hours=1))
    paused = "projects/p/evaluationJobs/paused"
    ledger.create(paused, {}, spec_of(), occurred_time=BEGIN)
    ledger.pause(paused, occurred_time=BEGIN + timedelta(hours=1))


def _write_foreign(dsn: str, ledger: Ledger) -> None:
    """Events of another aggregate, and a tracking row, as eventsourcing's library writes them."""
    given = conninfo_to_dict(dsn)
    options = {
        "DBNAME": "dbname",
        "HOST": "host",
        "PORT": "port",
        "USER": "user",
        "PASSWORD": "password",
    }
    environment = {f"POSTGRES_{key}": str(given.get(of) or "") for key, of in options.items()}
    environment["POSTGRES_PORT"] = environment["POSTGRES_PORT"] or os.environ.get("PGPORT", "5432")
    environment["PERSISTENCE_MODULE"] = "jobledger.infra.recorder"
    factory = Factory(environment | {"POSTGRES_SCHEMA": ledger.name})
    try:
        stored = [
            StoredEvent(
                uuid5(NAMESPACE_DNS, "training"), 0, "app:Training.Registered", b"\x00\xff"
            ),
            StoredEvent(uuid5(NAMESPACE_DNS, "training"), 1, "app:Training.Stepped", b""),
        ]
        factory.process_recorder().insert_events(stored, tracking=Tracking("upstream", 21))
    finally:
        factory.close()
