"""Explains how a job came to its state: the events that led to it, in sentences."""

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Final, NamedTuple

from jobledger.domain.errors import JobNotFoundError
from jobledger.domain.job import Job
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Moment
from jobledger.infra.eventstore.json_view import event_json, job_json
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.history.durations import elapsed
from jobledger.infra.history.event_sentences import clauses, time_in_words
from jobledger.infra.history.reporter_clocks import (
    TOLERANCE,
    Reported,
    ReporterClock,
    reporter_clocks,
)
from jobledger.infra.history.timeline import Step, steps_as_of
from jobledger.infra.read.reader import Reader

WITHOUT_STATE: Final = frozenset(
    {"ProgressReported", "LabelsChanged", "ConfigChanged", "PolicyChanged", "Commented"}
)
"""Events that lead to no state, and contradict none."""


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
        for reporter in {name for name in (event.actor, worker) if isinstance(name, str)}:
            yield Reported(reporter, event.occurred_time, event.recorded_time)


def _reasons(steps: list[Step]) -> Iterator[Reason]:
    cause: Step | None = None
    for step in steps:
        if step.event.type in WITHOUT_STATE:
            continue
        yield Reason(step.event, f"{'; '.join(clauses(step, cause))}.")
        if step.event.type != "Contradicted":
            cause = step


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
        was = "" if job.state is None else f"; its state was {job.state.name}"
        return f"It was deleted on {time_in_words(job.delete_time)}{was}"
    if job.state is None:
        return "Its state was never reported"
    since = next(
        step.effective_time for step in reversed(steps) if step.before.state is not job.state
    )
    return f"It has been {job.state.name} since {time_in_words(since)}"
