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


def job_of(said: JsonObject) -> Job:
    """A job."""
    return Job(
        name=said["name"],
        version=said["version"],
        state=_state(said["state"]),
        attempt=said["attempt"],
        create_time=_time(said["createTime"]),
        start_time=_time(said["startTime"]),
        end_time=_time(said["endTime"]),
        update_time=_time(said["updateTime"]),
        error=said["error"],
        error_message=said["errorMessage"],
        labels=said["labels"],
        spec=said["spec"],
        lineage=_lineage(said),
        output=said["output"],
    )


def _lineage(said: JsonObject) -> JsonObject | None:
    """Returns the reported parents, root and trigger, without those that only the spec names."""
    told = {key: said[key] for key in LINEAGE_KEYS if key in said}
    return {key: value for key, value in told.items() if value != said["spec"].get(key)} or None


def tree_of(said: JsonObject) -> Tree:
    """A job with the jobs below it."""
    return Tree(job_of(said), [tree_of(child) for child in said["children"]])


def event_of(said: JsonObject) -> RecordedEvent:
    """An event; its `stored` is its data's canonical JSON, with personal values as the server shows them."""
    data = said["data"]
    schema = 0
    if data is not None and said["type"] in EVENT_TYPES:
        schema = EVENT_TYPES[said["type"]].schema_number + (PLACED if PLACED_KEY in data else 0)
    return RecordedEvent(
        position=said["position"],
        name=said["name"],
        version=said["version"],
        type=said["type"],
        schema=schema,
        # An event of another aggregate than a job has none.
        occurred_time=_time(said["occurredTime"]),  # type: ignore[arg-type]
        recorded_time=datetime.fromisoformat(said["recordedTime"]),
        actor=said["actor"],
        request_id=said["requestId"],
        trace_parent=None,
        stored=b"" if data is None else canonical.encode(data),
        state=_state(said["state"]),
    )


def recorded_of(said: JsonObject) -> Recorded:
    """Parses the result of a command or a report."""
    return Recorded(job_of(said["job"]), [event_of(event) for event in said["events"]])


def moment_of(said: JsonObject) -> Moment:
    """Parses the moment of an answer."""
    time = datetime.fromisoformat(said["asOf"])
    return Moment(
        said["position"], time, Clock(said["clock"]), pruned_before=_time(said.get("prunedBefore"))
    )


def page_of(said: JsonObject) -> Page:
    """A page of jobs."""
    jobs = [job_of(job) for job in said["jobs"]]
    return Page(jobs, moment_of(said), said["nextPageToken"])


def counts_of(said: JsonObject) -> Counts:
    """How many jobs there are of each value."""
    return Counts(moment_of(said), {each["value"]: each["count"] for each in said["counts"]})


def events_of(said: JsonObject) -> list[RecordedEvent]:
    """Some events."""
    return [event_of(event) for event in said["events"]]


def _time(text: Any) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _state(name: str | None) -> JobState | None:
    return None if name is None else JobState[name]
