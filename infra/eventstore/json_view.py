"""Jobs and events as JSON, which is the same in all interfaces: camelCase, RFC 3339 times in UTC with microseconds."""

import json
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from jobledger.domain.job import Job
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Moment
from jobledger.infra.eventstore.json_types import EventJson, JobJson, MomentJson
from jobledger.infra.eventstore.stored_event import RecordedEvent


def encode(value: Any, *, indented: bool = False) -> bytes:
    """Encodes JSON of any depth: an event can have as many levels as orjson writes, and an answer adds some."""
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indented else None)
    except orjson.JSONEncodeError:
        separators = None if indented else (",", ":")
        return json.dumps(value, indent=2 if indented else None, separators=separators).encode()


def time_text(time: datetime | None) -> str | None:
    """Returns a time as `2026-11-22T10:00:00.000000Z`; None for None."""
    return None if time is None else required_time(time)


def required_time(time: datetime) -> str:
    """Returns a time as `2026-11-22T10:00:00.000000Z`."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def job_json(job: Job) -> JsonObject:
    """Returns a job as JSON; fields without a value are null, and unknown parents, roots and triggers are left out."""
    shown: JobJson = {
        "name": job.name,
        "project": job.project,
        "kind": job.kind,
        "state": None if job.state is None else job.state.name,
        "version": job.version,
        "attempt": job.attempt,
        "createTime": time_text(job.create_time),
        "startTime": time_text(job.start_time),
        "endTime": time_text(job.end_time),
        "updateTime": time_text(job.update_time),
        "error": job.error,
        "errorMessage": job.error_message,
        "labels": job.labels,
        "etag": job.etag,
        "spec": job.spec,
        "output": job.output,
    }
    if job.parents:
        shown["parents"] = job.parents
    if job.root is not None:
        shown["root"] = job.root
    if job.triggered_by is not None:
        shown["triggeredBy"] = job.triggered_by
    return cast("JsonObject", shown)


def event_json(event: RecordedEvent) -> JsonObject:
    """Returns an event as JSON; `state` is the job's state after it."""
    return event_json_with(event, event.json if event.schema else None)


def event_json_with(event: RecordedEvent, data: Any) -> JsonObject:
    """Returns an event as JSON with this as its data."""
    shown: EventJson = {
        "position": event.position,
        "name": event.name,
        "version": event.version,
        "type": event.type,
        "occurredTime": time_text(event.occurred_time),
        "recordedTime": required_time(event.recorded_time),
        "actor": event.actor,
        "requestId": event.request_id,
        "data": data,
        "state": None if event.state is None else event.state.name,
    }
    return cast("JsonObject", shown)


def moment_json(moment: Moment) -> JsonObject:
    """Returns a moment as answers contain it: its position and, in valid time, its time.

    Args:
        moment: The moment.

    Returns:
        The JSON. `prunedBefore` (UTC) is present if jobs that had ended by then were pruned.
    """
    shown: MomentJson = {
        "asOf": required_time(moment.time),
        "clock": moment.clock.value,
        "position": moment.position,
    }
    if moment.pruned_past is not None:
        shown["prunedBefore"] = required_time(moment.pruned_past)
    return cast("JsonObject", shown)
