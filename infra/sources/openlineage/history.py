"""Converts OpenLineage events into reports on jobs.

| OpenLineage | the ledger |
| --- | --- |
| a job, by namespace and name | a job, its id the `job_id` of both; created by its first event |
| a run, by run id | an attempt with that `runId` |
| START | Started |
| RUNNING | Started, if no report of that run came before; else ProgressReported |
| COMPLETE, FAIL, ABORT | Succeeded, Failed with the error message facet, Cancelled |
| OTHER, a JobEvent, and what is known already | Commented |
| the parent run facet | `parents` and `root` of Created and Started |
| inputs and outputs | `inputs` and `outputs` of the job's output, merged over a run |

Everything else of an event is kept in its data, under `openLineage`.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

from jobledger.domain import events as e
from jobledger.domain.data import UNKNOWN, Data
from jobledger.domain.job import Job
from jobledger.domain.observing import introduce, is_current, observe, observe_unordered
from jobledger.domain.reports import parse_report
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.job_ids import job_id
from jobledger.domain.values.labels import MAX_LABELS, nearest
from jobledger.domain.values.names import project_of
from jobledger.infra.eventstore.methods.request import AboutReport
from jobledger.infra.eventstore.observing import Reported
from jobledger.infra.eventstore.write_path import ObservedEvent
from jobledger.infra.eventstore.writes.judge import Judge
from jobledger.infra.eventstore.writes.observations import Introduction, Observation
from jobledger.infra.eventstore.writes.plain import plain_event
from jobledger.infra.sources.content import sorted_json
from jobledger.infra.sources.openlineage.assertions import failed_assertions
from jobledger.infra.sources.openlineage.event import EventType, JobKey, LineageEvent, facet

DATASETS: Final = ("inputs", "outputs")
PARTS: Final = 3
INTRODUCTION, MAIN, DATASETS_PART = range(PARTS)
"""The reports of one event: the ends of its request ids."""
_SPEC: Final = (
    ("documentation", "description", "description"),
    ("ownership", "owners", "owners"),
    ("sql", "query", "sql"),
    ("sourceCodeLocation", "url", "sourceCodeLocation"),
)
"""Facets of a job: the key of each that is stored, and the field of the job's configuration."""
_JOB_TYPE: Final = {
    "integration": "integration",
    "jobType": "job_type",
    "processingType": "processing_type",
}


def ledger_id(job: JobKey) -> str:
    """Returns the ledger's id for a job, from `NAMESPACE|NAME`, with `|` and `%` in the namespace escaped."""
    namespace = job.namespace.replace("%", "%25").replace("|", "%7C")
    return job_id(f"{namespace}|{job.name}")


def ledger_name(job: JobKey, project: str) -> str:
    """Returns the ledger's name for a job."""
    return f"projects/{project}/jobs/{ledger_id(job)}"


class EventReports(NamedTuple):
    """The reports of an event about a run or a job."""

    name: str
    """The job."""
    time: datetime
    """When the event happened (UTC)."""
    request: str
    """The beginning of the request ids, derived from the event's content, so that it is recorded once."""
    begins: bool
    """Whether it may be the first event of its job, or of a run."""
    run_id: str | None
    all: list[Reported]

    @property
    def request_id(self) -> str:
        """The request id of the report that each event makes."""
        return f"{self.request}:{MAIN}"

    @property
    def request_keys(self) -> list[str]:
        """The keys of all requests that the event may make."""
        project = project_of(self.name)
        return [f"{project}/{self.request}:{part}" for part in range(PARTS)]


def reports_of(event: LineageEvent, project: str, actor: str = "openlineage") -> EventReports:
    """Returns the reports of an event about a run or a job.

    Args:
        event: The event.
        project: The project of the job.
        actor: Who reports it.

    Returns:
        The reports.
    """
    assert event.job is not None
    name, request = ledger_name(event.job, project), _request(event)
    begins = event.type in (None, EventType.START)
    reporter = _Reporter(name, request, actor, event.time)
    found: list[Reported] = [Introduction(name, partial(_introduced, event, project, reporter))]
    if event.type is None:
        data = {"note": "OpenLineage JobEvent", "openLineage": _kept(event)}
        found.append(reporter.observed(MAIN, "Commented", data, observe))
        return EventReports(name, event.time, request, begins, event.run_id, found)
    sets = _datasets(event)
    type_, data = _report(event, project, sets)
    found.append(reporter.reported(MAIN, type_, data))
    if sets and event.type in {EventType.START, EventType.RUNNING}:
        output = {"runId": event.run_id, "output": sets}
        found.append(reporter.reported(DATASETS_PART, "ProgressReported", output))
    return EventReports(name, event.time, request, begins, event.run_id, found)


class _Reporter(NamedTuple):
    """Makes the reports of one event."""

    name: str
    request: str
    actor: str
    time: datetime

    def reported(self, part: int, type_: str, data: JsonObject) -> Reported:
        """Returns a report of a run."""
        request_id = f"{self.request}:{part}"
        plain = plain_event(self.name, type_, data, self.time, request_id, self.actor, observe_run)
        if plain is not None:
            return plain
        return self.observed(part, type_, data, observe_run)

    def observed(self, part: int, type_: str, data: JsonObject, judge: Judge) -> ObservedEvent:
        """Returns a report whose data the ledger interprets."""
        about = AboutReport(
            occurred_time=self.time, request_id=f"{self.request}:{part}", actor=self.actor
        )
        return ObservedEvent(self.name, parse_report(type_, data), about, judge)


def _introduced(event: LineageEvent, project: str, reporter: _Reporter) -> Observation:
    """Returns the report that creates the job; if it is not a START, the job began before."""
    data = _created(event, project)
    if event.type in (None, EventType.START):
        id_ = f"{reporter.request}:{INTRODUCTION}"
        plain = plain_event(reporter.name, "Created", data, event.time, id_, reporter.actor)
        if plain is not None:
            return plain
    else:
        begun = _begun(event.run_id) or event.time
        reporter = reporter._replace(time=min(event.time, begun))
    return reporter.observed(INTRODUCTION, "Created", data, introduce)


def observe_run(
    report: Data, job: Job, /, *, at: datetime | None, past: Sequence[e.Event] | None
) -> Sequence[Data]:
    """Does the same as `observe_unordered`; datasets are added to those that were reported for the same run."""
    if isinstance(report, e.ProgressReported) and _is_first(report, job, at):
        report = _as_started(report)
    return observe_unordered(_with_datasets(report, job), job, at, past)


def _is_first(report: Data, job: Job, at: datetime | None) -> bool:
    """Whether no earlier report of that run is known."""
    has_ended = job.end_time is not None and at is not None and at <= job.end_time
    return not has_ended and report.json_object().get("runId") not in job.run_ids


def _as_started(report: e.ProgressReported) -> Data:
    """Returns the start of a run whose first report is RUNNING."""
    data = report.json_object()
    data.pop("output", None)
    return parse_report("Started", data | {"inferred": True})


def _with_datasets(report: Data, job: Job) -> Data:
    new = getattr(report, "output", None)
    if not isinstance(new, dict) or not job.output or not is_current(report, job):
        return report
    merged = {part: _union(job.output.get(part), new.get(part)) for part in DATASETS}
    output = {**job.output, **new, **{part: found for part, found in merged.items() if found}}
    return report.model_copy(update={"output": output})


def _union(before: Any, more: Any) -> list[Any]:
    lists = [part for part in (before, more) if isinstance(part, list)]
    found: list[Any] = []
    for dataset in (each for part in lists for each in part):
        if dataset not in found:
            found.append(dataset)
    return found


def _created(event: LineageEvent, project: str) -> JsonObject:
    assert event.job is not None
    spec: JsonObject = {"displayName": event.job.name, "namespace": event.job.namespace}
    for name, key, field in _SPEC if event.job_facets else ():
        if value := facet(event.job_facets, name).get(key):
            spec[field] = value
    data: JsonObject = {"labels": _labels(event), "spec": spec, **_related(event, project)}
    return data if event.type in (None, EventType.START) else data | {"inferred": True}


def _labels(event: LineageEvent) -> dict[str, str]:
    """Returns the labels from the facets jobType and tags."""
    found = {"source": "openlineage"}
    if not event.job_facets:
        return found
    job_type = facet(event.job_facets, "jobType")
    for field, label in _JOB_TYPE.items():
        if isinstance(value := job_type.get(field), str) and value:
            found[label] = nearest(label, value)[1]
    tags = facet(event.job_facets, "tags").get("tags")
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, dict) and isinstance(key := tag.get("key"), str) and key:
            text = tag.get("value")
            name, value = nearest(key, "" if text is None else str(text))
            found.setdefault(name, value)
    return dict(list(found.items())[:MAX_LABELS])


def _report(event: LineageEvent, project: str, sets: JsonObject) -> tuple[str, JsonObject]:
    """Returns the type and the data of the report of a run's event."""
    data: JsonObject = {"runId": event.run_id, "openLineage": _kept(event)}
    match event.type:
        case EventType.START:
            return "Started", data | _related(event, project) | _nominal(event)
        case EventType.RUNNING:
            return "ProgressReported", data
        case EventType.COMPLETE:
            return "Succeeded", data | ({"output": sets} if sets else {})
        case EventType.FAIL:
            return "Failed", data | {"error": _error(event)}
        case EventType.ABORT:
            return "Cancelled", data | {"reason": _error(event)["message"] or "aborted"}
    return "Commented", data | {"note": "OpenLineage OTHER"}


def _error(event: LineageEvent) -> JsonObject:
    data = facet(event.run_facets, "errorMessage")
    message = data.get("message") or "; ".join(failed_assertions(event.given))
    error = {"code": UNKNOWN, "message": message}
    if data.get("stackTrace"):
        error["stackTrace"] = data["stackTrace"]
    return error


def _nominal(event: LineageEvent) -> JsonObject:
    data = facet(event.run_facets, "nominalTime")
    return {
        field: data[field]
        for field in ("nominalStartTime", "nominalEndTime")
        if isinstance(data.get(field), str)
    }


def _related(event: LineageEvent, project: str) -> JsonObject:
    """Returns the names of the parent job and the root job, from the parent run facet."""
    if not event.run_facets:
        return {}
    parent = facet(event.run_facets, "parent") or facet(event.run_facets, "parentRun")
    root = parent.get("root")
    parent_key = _key_of(parent.get("job"))
    root_key = _key_of(root.get("job")) if isinstance(root, dict) else None
    parents = [ledger_name(parent_key, project)] if parent_key else []
    first = ledger_name(root_key, project) if root_key else next(iter(parents), None)
    assert event.job is not None
    return e.lineage(ledger_name(event.job, project), parents, first)


def _key_of(job: Any) -> JobKey | None:
    if not isinstance(job, dict):
        return None
    namespace, name = job.get("namespace"), job.get("name")
    if isinstance(namespace, str) and isinstance(name, str) and namespace and name:
        return JobKey(namespace, name)
    return None


def _datasets(event: LineageEvent) -> JsonObject:
    """Returns the event's datasets by namespace and name."""
    found: JsonObject = {}
    for part in DATASETS:
        sets = event.given.get(part)
        keys = [key for each in sets if (key := _key_of(each))] if isinstance(sets, list) else []
        if keys:
            found[part] = [key._asdict() for key in dict.fromkeys(keys)]
    return found


def _kept(event: LineageEvent) -> JsonObject:
    """Returns the event's fields without its time, its type and the identity of its run and job."""
    kept = {
        "producer": event.given.get("producer"),
        "run": event.run_facets,
        "job": event.job_facets,
        **{part: event.given.get(part) for part in DATASETS},
    }
    return {key: value for key, value in kept.items() if value}


def _request(event: LineageEvent) -> str:
    """Returns the beginning of the request ids; an event that is sent again is recorded once."""
    return f"openlineage:{hashlib.sha256(sorted_json(event.given).encode()).hexdigest()[:32]}"


def _begun(run_id: str | None) -> datetime | None:
    """Returns when a run began, from the time in its id, if that is a UUID of version 7 (RFC 9562)."""
    try:
        found = uuid.UUID(run_id or "")
    except ValueError:
        return None
    if found.version != 7:
        return None
    return datetime.fromtimestamp((found.int >> 80) / 1000, UTC)
