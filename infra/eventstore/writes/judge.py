"""The type of a function that decides a report of another system."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from jobledger.domain.data import Data
from jobledger.domain.events import Event
from jobledger.domain.job import Job


class Judge(Protocol):
    """Decides which events are recorded for a report; `past` has all events of the job, if the judge asked for them."""

    def __call__(
        self, report: Data, job: Job, /, *, at: datetime | None, past: Sequence[Event] | None
    ) -> Sequence[Data]:
        """Returns the data of the events."""
        ...
