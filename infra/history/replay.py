"""Replays a job step by step, with hypothetical events after the recorded ones.

Hypothetical events are judged as reports, and never recorded: nothing here writes.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError, shown
from jobledger.domain.events import Event, parse_data
from jobledger.domain.job import Job, evolve, judge
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Moment
from jobledger.infra.eventstore.json_view import event_json, moment_json, time_text
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.history.diff import Change, diff_jobs, fields_of
from jobledger.infra.history.timeline import steps_as_of
from jobledger.infra.read.reader import Reader


class Replayed(NamedTuple):
    """One event, and the job after it.

    Attributes:
        event: The event.
        recorded: The event as the ledger stores it; None if it is hypothetical.
        job: The job after it.
        changes: What it changed in the job.
    """

    event: Event
    recorded: RecordedEvent | None
    job: Job
    changes: list[Change]

    @property
    def hypothetical(self) -> bool:
        """Whether the event is hypothetical."""
        return self.recorded is None

    @property
    def contradicted(self) -> bool:
        """Whether the job's state did not allow the report."""
        return self.event.type == "Contradicted"

    @property
    def recorded_time(self) -> datetime | None:
        """When the event was recorded (UTC); None if it is hypothetical."""
        return None if self.recorded is None else self.recorded.recorded_time

    def json(self) -> JsonObject:
        """Returns the step as JSON; a hypothetical event has no position, request id or recorded time."""
        return {
            "hypothetical": self.hypothetical,
            "contradicted": self.contradicted,
            "event": _hypothesis(self) if self.recorded is None else event_json(self.recorded),
            "changes": [change.json() for change in self.changes],
            "job": fields_of(self.job),
        }


class Replay(NamedTuple):
    """The steps of a job, in the order of the moment's clock; hypothetical steps are last.

    Attributes:
        name: The job's resource name.
        moment: The moment up to which events were replayed.
        steps: The steps.
    """

    name: str
    moment: Moment
    steps: list[Replayed]

    def json(self) -> JsonObject:
        """Returns all steps as JSON."""
        steps = [step.json() for step in self.steps]
        return moment_json(self.moment) | {"name": self.name, "steps": steps}


def replay_job(reader: Reader, name: str, until: Moment, hypotheses: Iterable[Data] = ()) -> Replay:
    """Replays the job's events up to a moment, and then hypotheses, at the time of the last event.

    Args:
        reader: The ledger.
        name: The job's resource name.
        until: The moment.
        hypotheses: Reports to judge after the last event; they are not recorded.

    Returns:
        Each event with the job after it.

    Raises:
        JobNotFoundError: There was no such job at the moment.
    """
    steps = [
        Replayed(s.event.event, s.event, s.after, diff_jobs(s.before, s.after))
        for s in steps_as_of(reader, name, until)
    ]
    if not steps:
        raise JobNotFoundError(name, pruned_before=until.pruned_before)
    return Replay(name, until, [*steps, *_supposed(steps, hypotheses)])


def parse_hypothesis(text: str) -> Data:
    """Parses `Failed={"error": "boom"}` or `Started`; raises InvalidFieldError."""
    type_, given, message = text.partition("=")
    if not given:
        message = "{}"
    try:
        data = parse_data(type_.strip(), canonical.decode_given(message))
        data.encode()
    except InvalidFieldError as error:
        # A field of its data, or its type, of all that may be supposed.
        raise InvalidFieldError("with", f"{text!r}: {error}") from None
    except UnicodeEncodeError:
        raise InvalidFieldError("with", "must be UTF-8 text") from None
    return data


def _supposed(steps: Sequence[Replayed], hypotheses: Iterable[Data]) -> Iterator[Replayed]:
    """Yields the steps of reports after the recorded ones, each judged on all events before it."""
    job, at = steps[-1].job, steps[-1].event.occurred_time
    past = sorted((step.event for step in steps), key=attrgetter("version"))
    for data in hypotheses:
        if not isinstance(data, Data):
            raise InvalidFieldError("hypotheses", f"{shown(data)} is not the data of an event")
        for fact in judge(data, job, past=tuple(past)):
            event = Event(job.name, job.version + 1, fact, at)
            after = evolve(job, event)
            yield Replayed(event, None, after, diff_jobs(job, after))
            past.append(event)
            job = after


def _hypothesis(step: Replayed) -> JsonObject:
    event = step.event
    return {
        "position": None,
        "name": event.name,
        "version": event.version,
        "type": event.type,
        "occurredTime": time_text(event.occurred_time),
        "recordedTime": None,
        "actor": None,
        "requestId": None,
        "data": event.data.json_object(),
        "state": None if step.job.state is None else step.job.state.name,
    }
