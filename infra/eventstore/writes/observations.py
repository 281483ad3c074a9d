"""Decides thousands of reports of other systems, in memory and in their order."""

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

from jobledger.domain.data import Data
from jobledger.domain.errors import (
    InvalidFieldError,
    LedgerError,
    PastNeededError,
    RequestReusedError,
)
from jobledger.domain.events import EVENT_TYPES, Event
from jobledger.domain.job import Job, absent, job_with, recorded
from jobledger.domain.job.plain import add_plain
from jobledger.domain.observing import since_creation
from jobledger.domain.reports import mended
from jobledger.domain.values import names
from jobledger.domain.values.names import project_of
from jobledger.infra.eventstore.attempts import with_attempt
from jobledger.infra.eventstore.verbs import About, AboutReport
from jobledger.infra.eventstore.writes.bulk import Values, microseconds, values_of
from jobledger.infra.eventstore.writes.judge import Judge
from jobledger.infra.eventstore.writes.plain import PlainEvent
from jobledger.infra.privacy.envelope import MARKER, NotEncryptedError


class Observation(Protocol):
    """A report of another system on one job; `ObservedEvent` is one."""

    @property
    def name(self) -> str:
        """The job's resource name."""

    @property
    def data(self) -> Data:
        """The event's data."""

    @property
    def about(self) -> AboutReport | About:
        """The metadata: time, actor and request id."""

    @property
    def judge(self) -> Judge:
        """The judge that decides it."""


class Introduction(NamedTuple):
    """The report that creates a job; it is made only if the job does not exist."""

    name: str
    make: Callable[[], Observation]
    """Raises InvalidFieldError."""


class Observed(NamedTuple):
    """The outcome of one report."""

    types: Sequence[str] = ()
    """The types of the events that were written for the report."""
    before: int = 0
    """How many events the same request had written before."""
    error: LedgerError | None = None
    """The error that refused it."""


NOTHING: Final = Observed()
_ONE: Final = {type_: Observed((type_,)) for type_ in EVENT_TYPES}
_SCHEMAS: Final = {type_: cls.schema_number for type_, cls in EVENT_TYPES.items()}


class Request(NamedTuple):
    """An earlier request: its job, and how many events it wrote."""

    name: str
    events: int


class Decisions:
    """The decisions on a batch; each one takes the earlier ones into account."""

    def __init__(
        self,
        jobs: MutableMapping[str, Job],
        requests: Mapping[str, Request],
        pasts: Mapping[str, Sequence[Event]],
    ) -> None:
        """Creates an object without decisions.

        Args:
            jobs: The jobs before it, and after each decision; a missing one does not exist.
            requests: The requests that were made earlier, by PROJECT/ID.
            pasts: All events of the jobs whose reports have to be placed among them.
        """
        self.jobs = jobs
        self.outcomes: list[Observed] = []
        self.made: list[Values] = []
        """The events that are to be written."""
        self.past_needed: dict[str, None] = {}
        """Jobs of which all events are needed; nothing more was decided on them."""
        self._requests = dict(requests)
        self._pasts = {name: list(past) for name, past in pasts.items()}
        self._now = datetime.now(UTC)
        self._changing: dict[str, dict[str, Any]] = {}
        """The fields of jobs that plain reports changed since they were made into jobs."""
        self._actor: str | None = None
        """The last one, which was checked."""

    def decide_all(self, observed: Iterable[Observation | Introduction]) -> None:
        """Decides each report, and adds its outcome.

        Args:
            observed: The reports, in their order.

        Raises:
            NotEncryptedError: One holds personal values, which are encrypted elsewhere.
        """
        for each in observed:
            self.outcomes.append(self._decided(each))
        for name in list(self._changing):
            self._job(name)

    def _decided(self, observed: Observation | Introduction) -> Observed:
        try:
            if isinstance(observed, Introduction):
                if self._exists(observed.name):
                    return NOTHING
                observed = observed.make()
            if type(observed) is PlainEvent and self._adds(observed):
                return _ONE[observed.type]
            return self._outcome(observed)
        except PastNeededError as error:
            self.past_needed[error.name] = None
            return Observed(error=error)
        except NotEncryptedError:
            raise
        except LedgerError as error:
            return Observed(error=error)

    def _exists(self, name: str) -> bool:
        """Whether the job has events."""
        if name in self._changing:
            return True
        return (job := self.jobs.get(name)) is not None and job.version > 0

    def _job(self, name: str) -> Job | None:
        """Returns the job after all reports so far; None if it does not exist."""
        if (fields := self._changing.pop(name, None)) is not None:
            self.jobs[name] = job_with(fields)
        return self.jobs.get(name)

    def _adds(self, report: PlainEvent) -> bool:
        """Records a plain report as it is, if the job allows it; returns whether it did."""
        name, type_, reported, encoded, at, request_id, actor, _ = report
        key = f"{name.split('/', 2)[1]}/{request_id}"
        if key in self._requests or name in self._pasts or name in self.past_needed:
            return False
        if (fields := self._changing.get(name)) is None:
            job = self.jobs.get(name) or absent(names.parse_name(name))
            fields = job.__dict__.copy()
        if actor is not self._actor:
            self._actor = names.parse_text("actor", actor)
        if not add_plain(fields, type_, reported, at):
            return False
        self._changing[name] = fields
        self._requests[key] = Request(name, 1)
        schema, version = _SCHEMAS[type_], fields["version"]
        place = microseconds(at), version, schema, type_, name
        self.made.append((*place, encoded, actor, request_id, None))
        return True

    def _outcome(self, observed: Observation) -> Observed:
        name = observed.name
        if name in self.past_needed:
            raise PastNeededError(name)
        if (job := self._job(name)) is None:
            job = absent(names.parse_name(name))
        data, about = with_attempt(observed.data, observed.about)
        request_id = names.parse_text("request_id", about.get("request_id"))
        key = None if request_id is None else f"{project_of(name)}/{request_id}"
        if key is not None and (known := self._requests.get(key)) is not None:
            if known.name != name:
                raise RequestReusedError(request_id or "", known.name)
            return Observed(before=known.events)
        occurred = about.get("occurred_time")
        at = None if occurred is None else names.parse_time(occurred, self._now)
        past = self._pasts.get(name)
        if at is not None:
            data, at = since_creation(data, job, at, past)
        if (actor := about.get("actor")) is not self._actor:
            self._actor = names.parse_text("actor", actor)
        trace = names.parse_trace_parent(about.get("trace_parent"))
        place = (at or self._now, actor, request_id, trace)
        events = self._events(observed.judge, data, job, at, past, place)
        if key is not None and events:
            self._requests[key] = Request(name, len(events))
        return Observed([event.type for event in events])

    def _events(
        self,
        judge: Judge,
        report: Data,
        job: Job,
        at: datetime | None,
        past: list[Event] | None,
        place: tuple[datetime, str | None, str | None, str | None],
    ) -> list[Event]:
        """Adds the events of a report to those that are written, applies them to the job, and returns them."""
        after, events = job, list[Event]()
        encoded = self._encoded(judge, report, job, at, past)
        for data, json in encoded:
            if MARKER in json:
                raise NotEncryptedError
            event = Event(job.name, after.version + 1, data, *place)
            after = recorded(after, event, past)
            events.append(event)
            if past is not None:
                past.append(event)
        self.made += [
            values_of(event, json) for event, (_, json) in zip(events, encoded, strict=True)
        ]
        self.jobs[job.name] = after
        return events

    def _encoded(
        self,
        judge: Judge,
        report: Data,
        job: Job,
        at: datetime | None,
        past: Sequence[Event] | None,
    ) -> list[tuple[Data, bytes]]:
        """Decides and encodes a report; a report that cannot be stored is mended first."""
        try:
            return [(data, data.encode()) for data in judge(report, job, at=at, past=past)]
        except InvalidFieldError:
            facts = judge(mended(report), job, at=at, past=past)
            return [(data, data.encode()) for data in facts]
