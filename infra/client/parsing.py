"""A server's JSON as the types that `Ledger` returns."""

from datetime import datetime
from typing import Any

from jobledger.domain.data import PLACED, PLACED_KEY
from jobledger.domain.events import EVENT_TYPES, LINEAGE_KEYS
from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.eventstore.write_path import Recorded
from jobledger.infra.history.tree import Tree
from jobledger.infra.read.answers import Counts, Page
from jobledger.infra.retention.holds import Hold


def job_of(body: JsonObject) -> Job:
    """A job."""
    return Job(
        name=body["name"],
        version=body["version"],
        state=_state(body["state"]),
        attempt=body["attempt"],
        create_time=_time(body["createTime"]),
        start_time=_time(body["startTime"]),
        end_time=_time(body["endTime"]),
        update_time=_time(body["updateTime"]),
        error=body["error"],
        error_message=body["errorMessage"],
        labels=body["labels"],
        spec=body["spec"],
        lineage=_lineage(body),
        output=body["output"],
    )


def _lineage(body: JsonObject) -> JsonObject | None:
    """Returns the reported parents, root and trigger, without those that only the spec names."""
    lineage = {key: body[key] for key in LINEAGE_KEYS if key in body}
    return {key: value for key, value in lineage.items() if value != body["spec"].get(key)} or None


def tree_of(body: JsonObject) -> Tree:
    """A job with the jobs below it."""
    return Tree(job_of(body), [tree_of(child) for child in body["children"]])


def event_of(body: JsonObject) -> RecordedEvent:
    """An event; its `stored` is its data's canonical JSON, with personal values as the server shows them."""
    data = body["data"]
    schema = 0
    if data is not None and body["type"] in EVENT_TYPES:
        schema = EVENT_TYPES[body["type"]].schema_number + (PLACED if PLACED_KEY in data else 0)
    return RecordedEvent(
        position=body["position"],
        name=body["name"],
        version=body["version"],
        type=body["type"],
        schema=schema,
        # An event of another aggregate than a job has none.
        occurred_time=_time(body["occurredTime"]),  # type: ignore[arg-type]
        recorded_time=datetime.fromisoformat(body["recordedTime"]),
        actor=body["actor"],
        request_id=body["requestId"],
        trace_parent=None,
        stored=b"" if data is None else canonical.encode(data),
        state=_state(body["state"]),
    )


def recorded_of(body: JsonObject) -> Recorded:
    """Parses the result of a command or a report."""
    return Recorded(job_of(body["job"]), [event_of(event) for event in body["events"]])


def moment_of(body: JsonObject) -> Moment:
    """Parses the moment of an answer."""
    time, before = datetime.fromisoformat(body["asOf"]), _time(body.get("prunedBefore"))
    return Moment(body["position"], time, Clock(body["clock"]), before, before is not None)


def page_of(body: JsonObject) -> Page:
    """A page of jobs."""
    jobs = [job_of(job) for job in body["jobs"]]
    return Page(jobs, moment_of(body), body["nextPageToken"])


def counts_of(body: JsonObject) -> Counts:
    """How many jobs there are of each value."""
    return Counts(moment_of(body), {each["value"]: each["count"] for each in body["counts"]})


def events_of(body: JsonObject) -> list[RecordedEvent]:
    """Returns some events."""
    return [event_of(event) for event in body["events"]]


def holds_of(body: JsonObject) -> list[Hold]:
    """Parses legal holds and pins."""
    return [
        Hold(
            each["name"],
            each["isPin"],
            each["reason"],
            each["actor"],
            datetime.fromisoformat(each["time"]),
        )
        for each in body["holds"]
    ]


def _time(text: Any) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _state(name: str | None) -> JobState | None:
    return None if name is None else JobState[name]
