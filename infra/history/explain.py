"""Explains how a job came to its state: the events that led to it, in sentences."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final, NamedTuple

from jobledger.domain import events as e
from jobledger.domain import run_events as r
from jobledger.domain.data import Data, Status
from jobledger.domain.errors import JobNotFoundError
from jobledger.domain.job import Job
from jobledger.domain.running import UNKNOWN
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Moment
from jobledger.infra.eventstore.json_view import event_json, job_json
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.history.reporter_clocks import (
    TOLERANCE,
    Reported,
    ReporterClock,
    reporter_clocks,
)
from jobledger.infra.history.timeline import Step, steps_as_of
from jobledger.infra.read.reader import Reader

UNITS: Final = ((365 * 86_400, "years"), (86_400, "days"), (3_600, "h"), (60, "min"), (1, "s"))
LATE_AFTER: Final = timedelta(minutes=1)
"""A report recorded that long after it occurred is late."""
WITHOUT_STATE: Final = frozenset(
    {"ProgressReported", "LabelsChanged", "ConfigChanged", "PolicyChanged", "Commented"}
)
"""Events that lead to no state, and contradict none."""
COMMANDED: Final = frozenset({"Created", "Cancelling", "Paused", "Resumed", "Retried", "Deleted"})
"""Events caused by commands; the others are reports."""

VERBS: Final = {
    "Created": "was created",
    "Queued": "was queued",
    "Preparing": "began to be made ready",
    "Started": "started",
    "Updating": "began to be updated",
    "Updated": "was updated",
    "Paused": "was paused",
    "Resumed": "was resumed",
    "Cancelling": "was asked to end",
    "Cancelled": "was cancelled",
    "Succeeded": "succeeded",
    "PartiallySucceeded": "succeeded in part",
    "Failed": "failed",
    "Expired": "expired",
    "Retried": "was retried",
    "Deleted": "was deleted",
    "RunStarted": "began a run",
    "DatasetCreated": "had a run's dataset",
    "LabelingRequested": "asked people for labels",
    "LabelingCompleted": "had all labels",
    "EvaluationCreated": "evaluated a run",
    "RunFailed": "failed a run",
    "AlertRaised": "fell short",
    "Scheduled": "had no open run left",
    "Stopped": "was stopped",
}
"""The verb of each event type, after `it`; a sentence begins with its last words."""


class Reason(NamedTuple):
    """One event of the explanation.

    Attributes:
        event: The event.
        sentence: What happened, in a sentence.
    """

    event: RecordedEvent
    sentence: str


class Why(NamedTuple):
    """The explanation of a job's state.

    Attributes:
        job: The job.
        reasons: The events that led to its state, in order.
        conclusion: A sentence on the state.
        clocks: The offsets of the clocks of actors and workers.
    """

    job: Job
    reasons: list[Reason]
    conclusion: str
    clocks: list[ReporterClock] = []

    def json(self) -> JsonObject:
        """Returns the job, the events with their sentences, the conclusion and the clocks as JSON."""
        chain = [{"sentence": r.sentence, "event": event_json(r.event)} for r in self.reasons]
        clocks = [clock.json() for clock in self.clocks]
        job = job_json(self.job)
        return {"job": job, "chain": chain, "conclusion": self.conclusion, "clocks": clocks}


def why(reader: Reader, name: str, moment: Moment) -> Why:
    """Returns the events that led to the job's state as of a moment.

    They include contradicted reports and attempts, and leave out progress and labels.

    Args:
        reader: The ledger.
        name: The job's resource name; it may be deleted.
        moment: The moment.

    Returns:
        The events as sentences, and the conclusion.

    Raises:
        JobNotFoundError: There was no such job at the moment.
    """
    steps = steps_as_of(reader, name, moment)
    if not steps:
        raise JobNotFoundError(name)
    job = steps[-1].after
    clocks = reporter_clocks(_reported(steps))
    return Why(job, list(_reasons(steps)), _conclusion(job, steps, clocks), clocks)


def _reported(steps: list[Step]) -> Iterator[Reported]:
    """Yields when the events of each actor and each worker occurred and were recorded."""
    for event in sorted((step.event for step in steps), key=attrgetter("version")):
        data = event.json
        value = data.get("data") if event.type == "Contradicted" else data
        worker = value.get("worker") if isinstance(value, dict) else None
        for reporter in {event.actor, worker}:
            if isinstance(reporter, str):
                yield Reported(reporter, event.occurred_time, event.recorded_time)


def elapsed(time: timedelta) -> str:
    """Returns a duration in its two largest units, as whole numbers: `4 min`, `2 h 5 min`."""
    left = int(abs(time).total_seconds())
    pieces: list[str] = []
    for seconds, unit in UNITS:
        count, left = divmod(left, seconds)
        if count or pieces:
            pieces.append(f"{count} {unit[:-1] if count == 1 and unit in _WORDS else unit}")
        if len(pieces) == 2:
            break
    parts = [part for part in pieces if not part.startswith("0 ")]
    return " ".join(parts) or "less than 1 s"


_WORDS: Final = frozenset({"years", "days"})


def _reasons(steps: list[Step]) -> Iterator[Reason]:
    cause: Step | None = None
    for step in steps:
        if step.event.type in WITHOUT_STATE:
            continue
        yield Reason(step.event, f"{'; '.join(_clauses(step, cause))}.")
        if step.event.type != "Contradicted":
            cause = step


def _clauses(step: Step, cause: Step | None) -> Iterator[str]:
    """Yields what happened and when, how long after the event before, and what the clocks show."""
    event, data = step.event, step.event.data
    consequence = _consequence(step, data)
    yield f"{_opening(event, data)}{consequence and f': {consequence}'}"
    if cause is not None:
        yield _since(step, cause)
    yield from _of_clocks(step)


def _of_clocks(step: Step) -> Iterator[str]:
    """Yields how late the report was and where it was placed, or that its reporter's clock is ahead."""
    event = step.event
    offset = event.recorded_time - event.occurred_time
    if offset >= LATE_AFTER:
        yield f"recorded {elapsed(offset)} later"
    elif offset <= -TOLERANCE:
        yield f"recorded {elapsed(offset)} before that: its reporter's clock runs ahead"
    if event.placed_after is not None:
        yield f"it came late, and was put where it happened, after version {event.placed_after}"
    elif step.effective_time > event.occurred_time and event.type != "Contradicted":
        yield f"taken as of {_time(step.effective_time)}, when what was known before took effect"


def _opening(event: RecordedEvent, data: Data) -> str:
    at = _time(event.occurred_time)
    if isinstance(data, e.Contradicted):
        by = f" by {event.actor}" if event.actor else ""
        return f"{data.report}{_attempt(data)} was reported{by} on {at}, though the job was {data.state}"
    verb = VERBS[event.type].removeprefix("was ")
    by = "" if event.actor is None else f" by {event.actor}"
    if by and event.type not in COMMANDED:
        by = f", reported{by},"
    return f"{verb[0].upper()}{verb[1:]}{by} on {at}"


def _attempt(data: e.Contradicted) -> str:
    """Returns the attempt that a report names; "" if it names none."""
    for field, called in (("attempt", "attempt"), ("runId", "run")):
        if isinstance(named := data.data.get(field), str | int):
            return f" of {called} {named}"
    return ""


def _consequence(step: Step, data: Data) -> str:
    """Returns the event's consequence for the job; "" if the verb is enough."""
    match data:
        case e.Contradicted():
            return "it is kept as a contradiction and changed nothing else"
        case e.Started(inferred=True):
            return f"inferred from another report on attempt {step.after.attempt}"
        case e.Queued() | e.Preparing() | e.Started() if data.attempts_begun:
            return _detail(f"it was sent back, and attempt {step.after.attempt} begins", data)
        case e.Created(inferred=True):
            return "inferred from another report on the job; waits in the queue"
        case e.Created():
            return "waits in the queue"
        case e.Queued(queue_position=int() as place):
            return f"waits at place {place} in the queue"
        case e.Queued() | e.Resumed():
            return "waits in the queue"
        case e.Started():
            return _detail("runs", data)
        case e.Updating():
            return "runs with its old configuration until that is over"
        case e.Updated(error=Status() as error):
            return f"the update failed, {_status(error.message, error.code)}, and it runs as before"
        case e.Updated():
            return "runs with its new configuration"
        case e.Retried(reason=reason):
            return _and(f"attempt {step.after.attempt} waits in the queue", reason)
        case e.Failed() | e.Cancelled():
            value = step.after.error or {}
            return _detail(_status(str(value.get("message", "")), value.get("code")), data)
        case e.Paused(reason=reason) | e.Cancelling(reason=reason) | e.Expired(reason=reason):
            return reason or ""
        case e.Deleted():
            return "gone from lists, and its history is kept"
        case r.Scheduled():
            return "waits for the next interval"
    return _of_run(data)


def _of_run(data: Data) -> str:
    """Returns the same for the events of an evaluation job's runs."""
    match data:
        case r.RunStarted(run=run, cut=cut):
            return f"run {run} takes the samples up to number {cut}"
        case r.DatasetCreated(run=run, example_count=count):
            return f"run {run} has {count} example{'s' * (count != 1)}"
        case r.LabelingRequested(run=run, question_count=count):
            return f"run {run} waits for {count} label{'s' * (count != 1)}"
        case r.EvaluationCreated(run=run, mean_average_precision=float() as found):
            return f"run {run} found a mean average precision of {found:.4f}"
        case r.AlertRaised(run=run, mean_average_precision=found):
            least = data.min_acceptable_mean_average_precision
            return f"run {run} found {found:.4f}, and {least:.4f} is the least that is accepted"
        case r.RunFailed(run=run, partial_failures=[{"message": str() as message}, *_]):
            return f"run {run}: {message}"
        case r.Stopped(reason=str() as reason):
            return reason
    number = getattr(data, "run", None)
    return "" if number is None else f"run {number}"


def _status(message: str, code: Any) -> str:
    """Returns the last line of a message with its code; the code UNKNOWN adds nothing to a message."""
    last = message.strip().rpartition("\n")[2]
    if last and code == UNKNOWN:
        return last
    return f"{last} (code {code})" if last else f"code {code}"


def _detail(text: str, data: Data) -> str:
    """Adds the worker and the exit code, if the report has them."""
    extra = data.model_extra or {}
    value = [f"exit code {extra['exitCode']}"] if isinstance(extra.get("exitCode"), int) else []
    worker = extra.get("worker")
    where = f" on {worker}" if isinstance(worker, str) and worker else ""
    return ", ".join([*value, text + where])


def _and(text: str, reason: str | None) -> str:
    return text if reason is None else f"{text}, because: {reason}"


def _since(step: Step, cause: Step) -> str:
    """Returns how long after the event before it happened; or before it, for a late report."""
    between = step.event.occurred_time - cause.event.occurred_time
    order = "before" if between < timedelta() else "after"
    return f"{elapsed(between)} {order} it {VERBS[cause.event.type]}"


def _conclusion(job: Job, steps: list[Step], clocks: Iterable[ReporterClock]) -> str:
    """Returns the state, since when, and the number of attempts, contradictions and wrong clocks."""
    parts = [_state_since(job, steps)]
    if job.attempt > 1:
        parts.append(f"{job.attempt} attempts")
    contradicted = sum(step.event.type == "Contradicted" for step in steps)
    if contradicted:
        parts.append(f"{contradicted} contradicted report{'s' * (contradicted > 1)}")
    for clock in clocks:
        if clock.ahead >= TOLERANCE:
            parts.append(f"the clock of {clock.reporter} runs {elapsed(clock.ahead)} ahead")
        if clock.back >= TOLERANCE:
            parts.append(f"the clock of {clock.reporter} jumped back by {elapsed(clock.back)}")
    return f"{'; '.join(parts)}."


def _state_since(job: Job, steps: list[Step]) -> str:
    if job.delete_time is not None:
        was = "" if job.state is None else f", and was {job.state.name}"
        return f"It is deleted since {_time(job.delete_time)}{was}"
    if job.state is None:
        return "Its state was never reported"
    since = next(
        step.effective_time for step in reversed(steps) if step.before.state is not job.state
    )
    return f"It is {job.state.name} since {_time(since)}"


def _time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
