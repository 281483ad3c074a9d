"""A job step by step: its events in the order of a clock, and the job before and after each."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.events import Event
from jobledger.domain.job import Job, evolve, fold
from jobledger.domain.values.moments import Clock, Moment
from jobledger.domain.values.names import parse_name
from jobledger.infra.eventstore.stored_event import RecordedEvent, up_to
from jobledger.infra.read.moments import Given, is_pinned
from jobledger.infra.read.reader import Reader


class Step(NamedTuple):
    """One event of a job; `before` is at version 0 for the first event."""

    event: RecordedEvent
    before: Job
    after: Job

    @property
    def effective_time(self) -> datetime:
        """When the event took effect (UTC): when it occurred, or when the events before it did."""
        at, last = self.event.bounded_time, self.before.last_effect
        is_late = last is not None and at < last and self.event.placed_after is None
        return last if last is not None and is_late else at


def steps_as_of(reader: Reader, name: str, moment: Moment) -> list[Step]:
    """Returns the job's events up to a moment, each with the job after it.

    Args:
        reader: The ledger.
        name: The job's resource name; it may be deleted.
        moment: The moment.

    Returns:
        The steps, in the order of versions or, in valid time, in the order in which they took
        effect; none before the job was created.

    Raises:
        JobNotFoundError: The job has no events.
    """
    events = [reader.decrypted(event) for event in reader.history(name) if event.schema]
    if not events:
        raise JobNotFoundError(name)
    return list(steps_of(Job(name=name), up_to(events, moment), moment.clock))


def job_as_of(reader: Reader, name: str, moment: Moment) -> Job:
    """Returns the job at that moment, also a deleted one; at version 0 before it was created."""
    steps = steps_as_of(reader, parse_name(name), moment)
    return steps[-1].after if steps else Job(name=name)


def attempt_ends(steps: Iterable[Step]) -> dict[int, Step]:
    """Returns the last step of each attempt."""
    return {step.after.attempt: step for step in steps}


class Span(NamedTuple):
    """Two moments on one clock; the later one counts at least the events of the earlier one."""

    earlier: Moment
    later: Moment

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of statements about the events in between."""
        moments = ("from", self.earlier), ("to", self.later)
        return {
            f"{end}_{part}": getattr(at, part)
            for end, at in moments
            for part in ("position", "time")
        }


def span(
    reader: Reader, earlier: Given, later: Given | None, clock: Clock | None, name: str = ""
) -> Span:
    """Returns two moments; None is now, on the clock of the earlier one.

    Raises InvalidFieldError for `from` or `to`, also if the later one is before the earlier one.
    """
    begin = moment_of(reader, "from", earlier, clock, name)
    end = moment_of(reader, "to", later, begin.clock if later is None else clock, name)
    if begin.clock is Clock.OCCURRED and not is_pinned(earlier):
        # What became known between the two lines above is known at both moments.
        begin = begin._replace(position=max(begin.position, end.position))
    return ordered(begin, end)


def ordered(earlier: Moment, later: Moment) -> Span:
    """Checks that two moments can be compared in that order; raises InvalidFieldError."""
    if earlier.clock is not later.clock:
        why = (
            f"is as it {_on(later)} and --from as it {_on(earlier)}: say --clock recorded for both"
        )
        raise InvalidFieldError("to", why)
    at_once = earlier.clock is Clock.RECORDED or earlier.time <= later.time
    if not at_once or earlier.position > later.position:
        raise InvalidFieldError("from", f"{earlier} is after {later}")
    return Span(earlier, later)


def moment_of(
    reader: Reader, field: str, given: Given | None, clock: Clock | None, name: str = ""
) -> Moment:
    """Returns the moment, None being now; errors name the given field."""
    try:
        return reader.moment(given, clock, name)
    except InvalidFieldError as error:
        asked = field if error.field == "as_of" else error.field
        raise InvalidFieldError(asked, error.why) from None


def steps_of(job: Job, events: Iterable[RecordedEvent], clock: Clock) -> Iterator[Step]:
    """Yields the events in the order of a clock, with the job before and after each.

    If late reports were placed among them, `events` must be all events of the job up to the last
    one.
    """
    known: list[Event] = []
    for event in events:
        known.append(event.event)
        is_placed = clock is Clock.RECORDED and event.placed_after is not None
        after = fold(Job(name=job.name), known) if is_placed else evolve(job, known[-1])
        yield Step(event, job, after)
        job = after


def _on(moment: Moment) -> str:
    return "happened" if moment.clock is Clock.OCCURRED else "was known"
