"""A job step by step: each of its events in the order of a clock, and the job before and after it."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.events import Event
from jobledger.domain.job import Job, evolve, fold
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.eventstore.stored_event import RecordedEvent, up_to
from jobledger.infra.read.moments import Given, is_pinned
from jobledger.infra.read.reader import Reader


class Step(NamedTuple):
    """One event of a job; `before` is at version 0 if it is the first."""

    event: RecordedEvent
    before: Job
    after: Job

    @property
    def effective_time(self) -> datetime:
        """When the event took effect: when it occurred, or when the ones before it did."""
        at, last = self.event.bounded_time, self.before.last_effect
        is_late = last is not None and at < last and self.event.placed_after is None
        return last if last is not None and is_late else at


def steps_as_of(reader: Reader, name: str, moment: Moment) -> list[Step]:
    """What happened to the job up to the moment, deleted or not; nothing, if it was not there yet.

    In the order of its versions or, on the occurred clock, in the order in which things took effect.
    Raises JobNotFoundError for one that was never there.
    """
    events = [reader.decrypted(event) for event in reader.history(name) if event.schema]
    if not events:
        raise JobNotFoundError(name)
    return list(steps_of(Job(name=name), up_to(events, moment), moment.clock))


def job_as_of(reader: Reader, name: str, moment: Moment) -> Job:
    """The job at that moment, also if it was deleted; at version 0 if it was not there yet."""
    steps = steps_as_of(reader, name, moment)
    return steps[-1].after if steps else Job(name=name)


def attempt_ends(steps: Iterable[Step]) -> dict[int, Step]:
    """The last step of each attempt."""
    return {step.after.attempt: step for step in steps}


class Span(NamedTuple):
    """Two moments on one clock, neither of which knows more than a later one."""

    earlier: Moment
    later: Moment

    @property
    def parameters(self) -> dict[str, Any]:
        """Those that statements about what lies between take."""
        moments = ("from", self.earlier), ("to", self.later)
        return {
            f"{end}_{part}": getattr(at, part)
            for end, at in moments
            for part in ("position", "time")
        }


def span(
    reader: Reader, earlier: Given, later: Given | None, clock: Clock | None, name: str = ""
) -> Span:
    """From one moment to another; None is now, on the clock of the earlier one.

    Raises InvalidFieldError, of `from` or `to`, also where the later one comes first.
    """
    begin = moment_of(reader, "from", earlier, clock, name)
    end = moment_of(reader, "to", later, begin.clock if later is None else clock, name)
    if begin.clock is Clock.OCCURRED and not is_pinned(earlier):
        # What became known between the two lines above is known at both moments.
        begin = begin._replace(position=max(begin.position, end.position))
    return ordered(begin, end)


def ordered(earlier: Moment, later: Moment) -> Span:
    """Raises InvalidFieldError for moments that cannot be compared in that order."""
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
    """The moment meant, None being now; errors are said of the field it was given in."""
    try:
        return reader.moment(given, clock, name)
    except InvalidFieldError as error:
        asked = field if error.field == "as_of" else error.field
        raise InvalidFieldError(asked, error.why) from None


def steps_of(job: Job, events: Iterable[RecordedEvent], clock: Clock) -> Iterator[Step]:
    """The events one after the other in the order of a clock, from the job as it was before them.

    If late reports were put among them, they must be all events of the job up to the last one.
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
