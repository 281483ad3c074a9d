"""Deciding what thousands of reports of other systems make happen, in memory and in their order."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from jobledger.domain.data import Data
from jobledger.domain.errors import (
    InvalidFieldError,
    LedgerError,
    PastNeededError,
    RequestReusedError,
)
from jobledger.domain.events import Event
from jobledger.domain.job import Job, absent, recorded
from jobledger.domain.reports import mended
from jobledger.domain.values import names
from jobledger.domain.values.names import project_of
from jobledger.infra.eventstore.attempts import with_attempt
from jobledger.infra.eventstore.verbs import About, AboutReport
from jobledger.infra.privacy.envelope import MARKER, NotEncryptedError


class Judge(Protocol):
    """Decides what is recorded of a report; `past` are all events of the job, if it asked for them."""

    def __call__(
        self, report: Data, job: Job, /, *, at: datetime | None, past: Sequence[Event] | None
    ) -> Sequence[Data]:
        """Returns the data of the events."""
        ...


class Observation(Protocol):
    """What another system reports of one job; `ObservedEvent` is one."""

    @property
    def name(self) -> str:
        """The job's resource name."""

    @property
    def data(self) -> Data:
        """What is reported."""

    @property
    def about(self) -> AboutReport | About:
        """When, by whom, and the request id."""

    @property
    def judge(self) -> Judge:
        """Decides on it."""


class Introduction(NamedTuple):
    """The report that makes a job, which is worked out only where there is none."""

    name: str
    make: Callable[[], Observation]
    """Raises InvalidFieldError."""


class Observed(NamedTuple):
    """What came of one report."""

    events: Sequence[Event] = ()
    """The events that were written for it."""
    before: int = 0
    """How many events the same request wrote earlier."""
    error: LedgerError | None = None
    """Why it was refused."""


NOTHING: Final = Observed()


class Made(NamedTuple):
    """An event that is to be written, and the canonical JSON of its data."""

    event: Event
    encoded: bytes


class Request(NamedTuple):
    """What is known of a request that was made earlier: its job, and how many events it wrote."""

    name: str
    events: int


class Decisions:
    """The decisions on a batch; each is made on what the ones before it did."""

    def __init__(
        self,
        jobs: MutableMapping[str, Job],
        requests: Mapping[str, Request],
        pasts: Mapping[str, Sequence[Event]],
    ) -> None:
        """Begins without any decision.

        Args:
            jobs: The jobs before it, and after each decision; a missing one does not exist.
            requests: The requests that were made earlier, by PROJECT/ID.
            pasts: All events of the jobs whose reports have to be placed among them.
        """
        self.jobs = jobs
        self.outcomes: list[Observed] = []
        self.made: list[Made] = []
        self.past_needed: dict[str, None] = {}
        """Jobs of which all events are needed; nothing more was decided on them."""
        self._requests = dict(requests)
        self._pasts = {name: list(past) for name, past in pasts.items()}
        self._now = datetime.now(UTC)
        self._actor: str | None = None
        """The last one, which was checked."""

    def decide(self, observed: Observation | Introduction) -> None:
        """Adds what a report makes happen to its outcomes.

        Args:
            observed: The report.

        Raises:
            NotEncryptedError: It holds personal values, which are encrypted elsewhere.
        """
        try:
            self.outcomes.append(self._outcome(observed))
        except PastNeededError as error:
            self.past_needed[error.name] = None
            self.outcomes.append(Observed(error=error))
        except NotEncryptedError:
            raise
        except LedgerError as error:
            self.outcomes.append(Observed(error=error))

    def _outcome(self, observed: Observation | Introduction) -> Observed:
        name = observed.name
        if name in self.past_needed:
            raise PastNeededError(name)
        if (job := self.jobs.get(name)) is None:
            job = absent(names.parse_name(name))
        if isinstance(observed, Introduction):
            if job.version:
                return NOTHING
            observed = observed.make()
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
        if (actor := about.get("actor")) is not self._actor:
            self._actor = names.parse_text("actor", actor)
        trace = names.parse_trace_parent(about.get("trace_parent"))
        place = (at or self._now, actor, request_id, trace)
        events = self._events(observed.judge, data, job, at, past, place)
        if key is not None and events:
            self._requests[key] = Request(name, len(events))
        return Observed(events)

    def _events(
        self,
        judge: Judge,
        report: Data,
        job: Job,
        at: datetime | None,
        past: list[Event] | None,
        place: tuple[datetime, str | None, str | None, str | None],
    ) -> list[Event]:
        """The events of a report, which are added to what is written; the job is then as they make it."""
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
        self.made += [Made(event, json) for event, (_, json) in zip(events, encoded, strict=True)]
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
        """What happens, and its bytes; the report is mended if it cannot be stored."""
        try:
            return [(data, data.encode()) for data in judge(report, job, at=at, past=past)]
        except InvalidFieldError:
            facts = judge(mended(report), job, at=at, past=past)
            return [(data, data.encode()) for data in facts]
