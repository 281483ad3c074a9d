"""Sentences on single events: what happened, when, and what it meant for the job."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from jobledger.domain import events as e
from jobledger.domain import run_events as r
from jobledger.domain.data import CANCELLED, Data, Status
from jobledger.domain.running import UNKNOWN
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.history.durations import elapsed
from jobledger.infra.history.reporter_clocks import TOLERANCE
from jobledger.infra.history.timeline import Step

LATE_AFTER: Final = timedelta(minutes=1)
"""A report recorded that long after it occurred is late."""
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


def clauses(step: Step, cause: Step | None) -> Iterator[str]:
    """Yields what happened and when, how long after the event before, and what the clocks show.

    Args:
        step: The event, with the job before and after it.
        cause: The event before that led to a state, if there is one.
    """
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
        yield f"taken as of {time_in_words(step.effective_time)}, when what was known before took effect"


def _opening(event: RecordedEvent, data: Data) -> str:
    at = time_in_words(event.occurred_time)
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
        case e.Failed(error=error):
            status = error or Status(code=UNKNOWN, message="")
            return _detail(_status(status.message, status.code), data)
        case e.Cancelled(reason=reason):
            is_placed = step.event.placed_after is not None
            message = reason if is_placed else step.after.error_message
            return _detail(_status(message or "", CANCELLED), data)
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


def time_in_words(time: datetime) -> str:
    """A time in UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
