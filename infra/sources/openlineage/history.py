"""What OpenLineage events make happen to jobs of the ledger.

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
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from jobledger.domain import events as e
from jobledger.domain.data import UNKNOWN, Data
from jobledger.domain.job import Job
from jobledger.domain.observing import introduce, is_current, observe
from jobledger.domain.reports import parse_report
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.job_ids import job_id
from jobledger.domain.values.labels import MAX_LABELS, nearest
from jobledger.infra.eventstore.methods.request import AboutReport
from jobledger.infra.eventstore.write_path import ObservedEvent
from jobledger.infra.sources.openlineage.event import EventType, JobKey, LineageEvent

_encode: Final = json.JSONEncoder(sort_keys=True).encode
DATASETS: Final = ("inputs", "outputs")
_JOB_TYPE: Final = {
    "integration": "integration",
    "jobType": "job_type",
    "processingType": "processing_type",
}


def ledger_id(job: JobKey) -> str:
    """The ledger's id for a job: of `NAMESPACE|NAME`, with `|` and `%` within the namespace escaped."""
    namespace = job.namespace.replace("%", "%25").replace("|", "%7C")
    return job_id(f"{namespace}|{job.name}")


def ledger_name(job: JobKey, project: str) -> str:
    """The ledger's name for a job."""
    return f"projects/{project}/jobs/{ledger_id(job)}"


def observed(
    event: LineageEvent,
    project: str,
    actor: str | None,
    is_known: Callable[[str], bool] = lambda name: False,
) -> list[ObservedEvent]:
    """Returns what to record of an event of a run or of a job, in this order.

    Args:
        event: The event.
        project: The project of the job.
        actor: Who reports it.
        is_known: Whether a job of that name exists, so that an event that does not begin a run need not
            make it.

    Returns:
        The reports.
    """
    assert event.job is not None
    name, request = ledger_name(event.job, project), _request(event)
    reports = enumerate(_reports(event, project), 1)
    found = [
        ObservedEvent(name, data, _about(event, f"{request}:{part}", part, actor), judge)
        for part, (data, judge) in reports
    ]
    if event.type not in (None, EventType.START) and is_known(name):
        return found
    about = _about(event, f"{request}:0", 0, actor)
    return [ObservedEvent(name, _created(event, project), about, introduce), *found]


def _reports(event: LineageEvent, project: str) -> Iterator[tuple[Data, Any]]:
    if event.type is None:
        data = {"note": "OpenLineage JobEvent", "openLineage": _kept(event)}
        yield parse_report("Commented", data), observe
    else:
        yield _report(event, project), observe_run
        if (sets := _datasets(event)) and event.type in {EventType.START, EventType.RUNNING}:
            output = {"runId": event.run_id, "output": sets}
            yield parse_report("ProgressReported", output), observe_run


def observe_run(
    report: Data, job: Job, /, *, at: datetime | None, past: Sequence[e.Event] | None
) -> Sequence[Data]:
    """As `observe`; datasets are added to those that were reported of the same run."""
    if isinstance(report, e.ProgressReported) and _is_first(report, job, at):
        report = _as_started(report)
    return observe(_with_datasets(report, job), job, at, past)


def _is_first(report: Data, job: Job, at: datetime | None) -> bool:
    """Whether no report of that run came before, as far as is known."""
    has_ended = job.end_time is not None and at is not None and at <= job.end_time
    return not has_ended and report.json_object().get("runId") not in job.run_ids


def _as_started(report: e.ProgressReported) -> Data:
    """The start of a run of which RUNNING is the first report."""
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


def _created(event: LineageEvent, project: str) -> Data:
    assert event.job is not None
    job_facet = partial(event.facet, "job")
    spec = {
        "displayName": event.job.name,
        "namespace": event.job.namespace,
        "description": job_facet("documentation").get("description"),
        "owners": job_facet("ownership").get("owners"),
        "sql": job_facet("sql").get("query"),
        "sourceCodeLocation": job_facet("sourceCodeLocation").get("url"),
    }
    given = {key: value for key, value in spec.items() if value}
    data: JsonObject = {"labels": _labels(event), "spec": given, **_related(event, project)}
    inferred = event.type not in (None, EventType.START)
    return parse_report("Created", data | {"inferred": inferred})


def _labels(event: LineageEvent) -> dict[str, str]:
    """Labels by the facets jobType and tags."""
    found = {"source": "openlineage"}
    job_type = event.facet("job", "jobType")
    for field, label in _JOB_TYPE.items():
        if isinstance(value := job_type.get(field), str) and value:
            found[label] = nearest(label, value)[1]
    tags = event.facet("job", "tags").get("tags")
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, dict) and isinstance(key := tag.get("key"), str) and key:
            name, value = nearest(key, str(tag.get("value", "")))
            found.setdefault(name, value)
    return dict(list(found.items())[:MAX_LABELS])


def _report(event: LineageEvent, project: str) -> Data:
    """The report of one event of a run."""
    data: JsonObject = {"runId": event.run_id, "openLineage": _kept(event)}
    sets = _datasets(event)
    match event.type:
        case EventType.START:
            return parse_report("Started", data | _related(event, project) | _nominal(event))
        case EventType.RUNNING:
            return parse_report("ProgressReported", data)
        case EventType.COMPLETE:
            return parse_report("Succeeded", data | ({"output": sets} if sets else {}))
        case EventType.FAIL:
            return parse_report("Failed", data | {"error": _error(event)})
        case EventType.ABORT:
            return parse_report(
                "Cancelled", data | {"reason": _error(event)["message"] or "aborted"}
            )
    return parse_report("Commented", data | {"note": "OpenLineage OTHER"})


def _error(event: LineageEvent) -> JsonObject:
    facet = event.facet("run", "errorMessage")
    error = {"code": UNKNOWN, "message": facet.get("message") or ""}
    if facet.get("stackTrace"):
        error["stackTrace"] = facet["stackTrace"]
    return error


def _nominal(event: LineageEvent) -> JsonObject:
    facet = event.facet("run", "nominalTime")
    return {
        field: facet[field]
        for field in ("nominalStartTime", "nominalEndTime")
        if isinstance(facet.get(field), str)
    }


def _related(event: LineageEvent, project: str) -> JsonObject:
    """The names of the parent job and of the root job, by the parent run facet."""
    facet = event.facet("run", "parent") or event.facet("run", "parentRun")
    root = facet.get("root")
    parent_key = _key_of(facet.get("job"))
    root_key = _key_of(root.get("job")) if isinstance(root, dict) else None
    first = root_key or parent_key
    return {
        **({"parents": [ledger_name(parent_key, project)]} if parent_key else {}),
        **({"root": ledger_name(first, project)} if first else {}),
    }


def _key_of(job: Any) -> JobKey | None:
    if not isinstance(job, dict):
        return None
    namespace, name = job.get("namespace"), job.get("name")
    if isinstance(namespace, str) and isinstance(name, str) and namespace and name:
        return JobKey(namespace, name)
    return None


def _datasets(event: LineageEvent) -> JsonObject:
    """The event's datasets by namespace and name."""
    found: JsonObject = {}
    for part in DATASETS:
        sets = event.given.get(part)
        keys = [key for each in sets if (key := _key_of(each))] if isinstance(sets, list) else []
        if keys:
            found[part] = [key._asdict() for key in dict.fromkeys(keys)]
    return found


def _kept(event: LineageEvent) -> JsonObject:
    """The event's fields other than its time, its type and the identity of its run and job."""
    kept = {
        "producer": event.given.get("producer"),
        "run": event.facets("run"),
        "job": event.facets("job"),
        **{part: event.given.get(part) for part in DATASETS},
    }
    return {key: value for key, value in kept.items() if value}


def _request(event: LineageEvent) -> str:
    """The beginning of the request ids: the same event sent again is recorded once."""
    return f"openlineage:{hashlib.sha256(_encode(event.given).encode()).hexdigest()[:32]}"


def _about(event: LineageEvent, request_id: str, part: int, actor: str | None) -> AboutReport:
    """When, by whom, and the request id; a job that is not made by a START began before it."""
    time = event.time
    if part == 0 and event.type not in (None, EventType.START):
        time = min(time, _begun(event.run_id) or time)
    about = AboutReport(occurred_time=time, request_id=request_id)
    if actor is not None:
        about["actor"] = actor
    return about


def _begun(run_id: str | None) -> datetime | None:
    """When a run began, from the time in its id, if that is a UUID of version 7 (RFC 9562)."""
    try:
        found = uuid.UUID(run_id or "")
    except ValueError:
        return None
    if found.version != 7:
        return None
    return datetime.fromtimestamp((found.int >> 80) / 1000, UTC)
