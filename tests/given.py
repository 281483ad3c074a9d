"""given(facts).when(command or report).then(facts), or .refused(error)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import pytest
from jobledger.domain.commands import Command, JobCommand
from jobledger.domain.data import Data
from jobledger.domain.errors import LedgerError
from jobledger.domain.events import Event
from jobledger.domain.job import Job, decide, evolve, fold, judge
from jobledger.domain.states import allowed

NAME = "projects/p/jobs/train_1"
BEGIN = datetime(2026, 6, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Scenario:
    """A job with a history, and a command or report on it."""

    job: Job
    past: list[Event]
    asked: JobCommand | Data | None = None

    def when(self, asked: JobCommand | Data) -> Self:
        self.asked = asked
        return self

    def then(self, *facts: Data) -> Job:
        """Checks the resulting events; returns the job after them."""
        assert self._decided() == facts
        return _after(self.job, facts)[0]

    def refused(self, error: type[LedgerError]) -> LedgerError:
        with pytest.raises(error) as caught:
            self._decided()
        return caught.value

    def _decided(self) -> tuple[Data, ...]:
        assert self.asked is not None
        if isinstance(self.asked, Command):
            return decide(self.asked, self.job)
        assert isinstance(self.asked, Data)
        return judge(self.asked, self.job, past=self.past)


def given(*facts: Data) -> Scenario:
    """Returns a job with these events, a minute apart; they must be legal."""
    job, past = Job(name=NAME), list[Event]()
    for fact in facts:
        assert allowed(type(fact).__name__, job.stage), f"{fact!r} in {job.stage}"
        job, event = _after(job, (fact,))
        past += event
    return Scenario(job, past)


def lived(*facts: Data, kind: str = "jobs") -> tuple[Job, list[Event]]:
    """Returns a job of that collection with these events, an hour apart, and the events."""
    name = f"projects/p/{kind}/train_1"
    events = [
        Event(name, number + 1, fact, BEGIN + number * HOUR) for number, fact in enumerate(facts)
    ]
    return fold(Job(name=name), events), events


def _after(job: Job, facts: tuple[Data, ...]) -> tuple[Job, list[Event]]:
    events = list[Event]()
    for fact in facts:
        at = BEGIN + timedelta(minutes=job.version)
        events.append(Event(job.name, job.version + 1, fact, at))
        job = evolve(job, events[-1])
    return job, events
