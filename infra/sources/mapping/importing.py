"""An import with a mapping: records are recorded in batches, or only rehearsed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import Final, cast

from jobledger.domain.errors import InvalidFieldError, LedgerError
from jobledger.domain.events import Event
from jobledger.domain.job import Job, recorded
from jobledger.domain.observing import introduce_or_complete, observe_unordered
from jobledger.infra.eventstore.attempts import with_attempt
from jobledger.infra.eventstore.observing import Reported, observe_many
from jobledger.infra.eventstore.write_path import ObservedEvent
from jobledger.infra.eventstore.writes.observations import Introduction, Observed
from jobledger.infra.eventstore.writes.plain import PlainEvent
from jobledger.infra.programs.delivery import is_refusal
from jobledger.infra.read.store import Store
from jobledger.infra.sources.collecting import collecting_less
from jobledger.infra.sources.mapping.histories import Histories, RecordPlace
from jobledger.infra.sources.mapping.model import Kind, Source
from jobledger.infra.sources.mapping.records import Found, read_records

SHOWN_HISTORIES: Final = 10
MAX_UNPLACED: Final = 1_000
"""The most reasons that a summary keeps."""
WINDOW_RECORDS: Final = 5_000
"""How many records are read before their events are recorded."""


@dataclass
class ImportSummary:
    """The outcome of an import."""

    source: str
    records: int = 0
    events: int = 0
    """Events that were written."""
    before: int = 0
    """Events that were recorded before."""
    contradicted: int = 0
    unplaced: list[str] = field(default_factory=list)
    """The first records and events that could not be recorded: where, and why."""
    unplaced_count: int = 0
    """The total number of those."""
    jobs: set[str] = field(default_factory=set)

    def miss(self, place: str, why: object) -> None:
        """Adds a record or an event that could not be recorded."""
        self.unplaced_count += 1
        if len(self.unplaced) < MAX_UNPLACED:
            self.unplaced.append(f"{place}: {why}")


def refusal(error: LedgerError) -> LedgerError:
    """Returns the error if the event would be refused again; raises any other error, such as an unreachable server."""
    if not is_refusal(error):
        raise error
    return error


def _created_at(event: Reported, first_times: dict[str, datetime]) -> Reported:
    """Returns an event that creates a job with the time of the job's first event, and any other as it is."""
    if isinstance(event, Introduction) or event.judge is not introduce_or_complete:
        return event
    if (first := first_times.get(event.name)) is None:
        return event
    if isinstance(event, PlainEvent):
        return event._replace(time=first)
    return event._replace(about={**event.about, "occurred_time": first})


class MappedImport:
    """Reads one source by a mapping."""

    def __init__(self, source: Source, where: str, histories: Histories) -> None:
        self._source = source
        self._where = where
        self._histories = histories
        self.summary = ImportSummary(where)

    def events(self, moved: Callable[[int], None]) -> Iterator[Reported]:
        """Yields the events of all records; unreadable records are added to the summary.

        Records can be out of order. So the creation of a job, where the source does not give its time,
        is as early as the earliest of its events among the next records.
        """
        matched = False
        records = read_records(self._source, self._where, moved)
        for first in records:
            first_times: dict[str, datetime] = {}
            window = chain([first], islice(records, WINDOW_RECORDS - 1))
            events = [event for each in window for event in self._observed(each, first_times)]
            matched = matched or bool(events)
            yield from (_created_at(event, first_times) for event in events)
        if self.summary.records and not matched and not self.summary.unplaced_count:
            why = f"no record of {self.summary.records} has what it looks for: is it the right mapping?"
            self.summary.miss("the mapping matches nothing", why)

    def _observed(self, found: Found, first_times: dict[str, datetime]) -> Sequence[Reported]:
        self.summary.records += 1
        place, record, error = found
        try:
            if error is None:
                missed = partial(self._miss_item, place)
                at = RecordPlace(None, observe_unordered, missed, first_times)
                return self._histories.observed(record, at)
        except InvalidFieldError as wrong:
            error = str(wrong)
        self.summary.miss(place, error)
        return ()

    def _miss_item(self, place: str, item: str, why: InvalidFieldError) -> None:
        self.summary.miss(f"{place}, {item}", why)

    def record(self, store: Store, moved: Callable[[int], None]) -> ImportSummary:
        """Records the events in batches, each in one transaction. Importing again adds nothing."""
        is_file = self._source.kind is not Kind.SQL
        with collecting_less():
            for event, outcome in observe_many(store.writer, self.events(moved), ahead=is_file):
                self._count(event, outcome)
        return self.summary

    def _count(self, event: Reported, outcome: Observed) -> None:
        summary = self.summary
        summary.jobs.add(event.name)
        if outcome.error is not None:
            summary.miss(event.name, refusal(outcome.error))
            return
        summary.events += len(outcome.types)
        summary.before += outcome.before
        summary.contradicted += sum(each == "Contradicted" for each in outcome.types)

    def rehearse(self, moved: Callable[[int], None]) -> dict[str, list[Event]]:
        """Returns the first histories that an import into an empty ledger would write, without writing."""
        rehearsal = Rehearsal(self.summary)
        rehearsal.take(self.events(moved))
        return dict(islice(rehearsal.histories.items(), SHOWN_HISTORIES))


class Rehearsal:
    """Decides events in memory, as an empty ledger would."""

    def __init__(self, summary: ImportSummary) -> None:
        self._summary = summary
        self._jobs: dict[str, Job] = {}
        self._requests: set[str] = set()
        self.histories: dict[str, list[Event]] = {}

    def take(self, events: Iterable[Reported]) -> None:
        """Adds the events that would be written."""
        for event in events:
            try:
                self._add(event)
            except LedgerError as error:
                self._summary.miss(event.name, error)

    def _add(self, observed: Reported) -> None:
        if isinstance(observed, Introduction):
            observed = cast("ObservedEvent", observed.make())
        data, about = with_attempt(observed.data, observed.about)
        if about["request_id"] in self._requests:
            self._summary.before += 1
            return
        self._requests.add(about["request_id"])
        at = about["occurred_time"]
        past = self.histories.setdefault(observed.name, [])
        job = self._jobs.get(observed.name) or Job(name=observed.name)
        for fact in observed.judge(data, job, at=at, past=past):
            event = Event(observed.name, job.version + 1, fact, at, about.get("actor"))
            job = recorded(job, event, past)
            past.append(event)
            self._summary.events += 1
            self._summary.contradicted += event.type == "Contradicted"
        self._jobs[observed.name] = job
        self._summary.jobs.add(observed.name)
