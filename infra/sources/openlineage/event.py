"""Parses and checks OpenLineage events: https://openlineage.io/spec/2-0-2/OpenLineage.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import parse_time
from jobledger.domain.values.times import parse_iso

MAX_RUN_ID: Final = 256
_VERSION: Final = re.compile(r"/spec/(\d+)-\d+-\d+/OpenLineage\.json")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
KNOWN_MAJORS: Final = frozenset({"0", "1", "2"})


class EventType(StrEnum):
    """What happened to a run."""

    START = "START"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    ABORT = "ABORT"
    FAIL = "FAIL"
    OTHER = "OTHER"


class JobKey(NamedTuple):
    """The identity of a job in OpenLineage."""

    namespace: str
    name: str


NONE: Final[JsonObject] = {}


class LineageEvent(NamedTuple):
    """An event about a run (`run_id`), about only a job, or about only a dataset."""

    time: datetime
    given: JsonObject
    """The event as it was received."""
    type: EventType | None = None
    job: JobKey | None = None
    run_id: str | None = None
    dataset: JobKey | None = None
    """The dataset, if the event is only about a dataset."""
    job_facets: JsonObject = NONE
    run_facets: JsonObject = NONE


def facet(facets: JsonObject, name: str) -> JsonObject:
    """Returns one of the facets; empty if there is none of that name."""
    found = facets.get(name)
    return found if isinstance(found, dict) else {}


def parse_event(given: Any, now: datetime) -> LineageEvent:
    """Parses an OpenLineage event.

    Args:
        given: The JSON.
        now: When it was received (UTC).

    Returns:
        The event.

    Raises:
        InvalidFieldError: The version of the specification is unknown, the job or the id of a run is
            missing, or a time is not an RFC 3339 time with a zone.
    """
    event = _object(given, "event")
    _check_version(event.get("schemaURL"))
    time = _time(event.get("eventTime"), now)
    if event.get("run") is None and event.get("job") is None:
        if event.get("dataset") is not None:
            return LineageEvent(time, event, dataset=_key(event["dataset"], "dataset"))
        raise InvalidFieldError(
            "job", "is missing: an event has a run and a job, a job, or a dataset"
        )
    job = _key(event.get("job"), "job")
    of_job = _facets(event["job"])
    if event.get("run") is None:
        return LineageEvent(time, event, None, job, job_facets=of_job)
    run = _object(event["run"], "run")
    type_, run_id = _type(event.get("eventType")), _run_id(run.get("runId"))
    return LineageEvent(time, event, type_, job, run_id, None, of_job, _facets(run))


def _check_version(url: Any) -> None:
    if url is None:
        return
    version = _VERSION.search(url) if isinstance(url, str) else None
    if version is None or version[1] not in KNOWN_MAJORS:
        raise InvalidFieldError(
            "schemaURL", f"{url!r:.200} is not of a known specification: 0, 1 and 2 are known"
        )


def _time(text: Any, now: datetime) -> datetime:
    try:
        time = parse_iso(text)
    except (TypeError, ValueError):
        raise InvalidFieldError("eventTime", f"{text!r:.80} is not an RFC 3339 time") from None
    if time.tzinfo is None:
        raise InvalidFieldError("eventTime", f"{text!r} has no zone: write Z or an offset")
    return parse_time(time, now, "eventTime")


def _type(given: Any) -> EventType:
    if given is None:
        return EventType.OTHER
    try:
        return EventType(given)
    except ValueError:
        types = ", ".join(EventType)
        raise InvalidFieldError("eventType", f"{given!r:.80} is none of {types}") from None


def _run_id(given: Any) -> str:
    """Returns the id of a run; UUIDs that differ only in case are equal (RFC 9562)."""
    if isinstance(given, str) and 0 < len(given) <= MAX_RUN_ID and given.isprintable():
        return given.lower() if _UUID.fullmatch(given) else given
    raise InvalidFieldError("run.runId", f"{given!r:.80} is not the id of a run, such as a UUID")


def _key(given: Any, field: str) -> JobKey:
    holder = _object(given, field)
    return JobKey(*(_text(holder, field, part) for part in JobKey._fields))


def _text(holder: Mapping[str, Any], field: str, part: str) -> str:
    value = holder.get(part)
    if isinstance(value, str) and value:
        return value
    raise InvalidFieldError(f"{field}.{part}", f"{value!r:.80} is not a name")


def _facets(holder: JsonObject) -> JsonObject:
    facets = holder.get("facets")
    return facets if isinstance(facets, dict) else NONE


def _object(value: Any, field: str) -> JsonObject:
    if isinstance(value, dict):
        return value
    raise InvalidFieldError(field, "is not a JSON object" if value is not None else "is missing")
