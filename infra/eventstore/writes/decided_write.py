"""A pending write of events that were decided elsewhere, such as those of an import."""

from collections.abc import Iterable, Mapping, Sequence

from jobledger.domain.events import Event
from jobledger.domain.job import Job, fold
from jobledger.infra.eventstore.stored_event import Row
from jobledger.infra.eventstore.writes.pending import Pending


class DecidedWrite(Pending):
    """Events of any number of jobs that were decided elsewhere, written atomically.

    `rows` may include events of other aggregates; only `events` are folded into jobs.
    """

    def __init__(self, rows: Sequence[Row], events: Sequence[Event]) -> None:
        super().__init__()
        self.rows = rows
        self.names = tuple({event.name: None for event in events})
        self.assumed_new = {
            event.name: Job(name=event.name) for event in events if event.version == 1
        }
        self.past_names = placed_names(events)
        if self.past_names:
            self.alone = True
        self._events = events

    def decide(self, jobs: dict[str, Job]) -> None:
        """Folds the events without judging them: they are history."""
        fold_all(self._events, jobs, self.pasts)


def placed_names(events: Iterable[Event]) -> list[str]:
    """The jobs whose events in this write take effect before earlier ones."""
    return sorted({event.name for event in events if event.placed_after is not None})


def fold_all(
    events: Iterable[Event], jobs: dict[str, Job], pasts: Mapping[str, Sequence[Event]]
) -> None:
    """Folds events of several jobs into `jobs`; `pasts` has all earlier events of some of them."""
    following: dict[str, list[Event]] = {}
    for event in events:
        following.setdefault(event.name, []).append(event)
    for name, later in following.items():
        past = pasts.get(name)
        jobs[name] = fold(jobs[name] if past is None else Job(name=name), [*(past or ()), *later])
