"""The stock recorder and projection of the library eventsourcing: the same jobs in its own style.

`python -m jobledger.infra.bench.peers.stock WHAT …` takes turns as load.py does; POSTGRES_* say where.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import InternalError
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from jobledger.infra.bench.peers.load import (
    LABELS,
    NUMBERS,
    OUTPUT,
    WORKER,
    Work,
    in_threads,
    turns,
)

HISTORIES_AT_ONCE = 500
SCHEMA = os.environ.get("POSTGRES_SCHEMA", "public")
TABLE = f"CREATE TABLE IF NOT EXISTS {SCHEMA}.stock_jobs (id text PRIMARY KEY, version bigint)"
UPSERT = (
    f"INSERT INTO {SCHEMA}.stock_jobs VALUES (%s, %s)"
    " ON CONFLICT (id) DO UPDATE SET version = excluded.version"
)


class StockJob(Aggregate):
    """The same job in the library's own style."""

    @event("Created")
    def __init__(self, name: str, labels: dict[str, str]) -> None:
        self.name = name
        self.labels = labels

    @event("Started")
    def start(self, worker: str) -> None:
        """Starts the job."""
        self.worker = worker

    @event("Succeeded")
    def succeed(self, output: dict[str, str]) -> None:
        """Ends the job."""
        self.output = output


class StockJobs(Application[Any]):
    """Saves each event by itself."""

    def run(self, name: str) -> None:
        """One job's life."""
        job = StockJob(name, LABELS)
        self.save(job)
        job.start(WORKER["worker"])
        self.save(job)
        job.succeed(OUTPUT)
        self.save(job)


def _stock_jobs() -> StockJobs:
    """Begun again where several begin at once, and the library's own making of tables fails."""
    for wait in (0.1, 0.2, 0.4, 0.8):
        try:
            return StockJobs()
        except InternalError:
            time.sleep(wait * (1 + os.getpid() % 7))
    return StockJobs()


@contextmanager
def append() -> Iterator[Work]:
    """One caller of the library's stock Application."""
    with _stock_jobs() as jobs:

        def step(caller: int) -> int:
            jobs.run(f"{os.getpid()}-{caller}-{next(NUMBERS)}")
            return 3

        yield lambda seconds: in_threads(1, seconds, step)


class StockView(PostgresTrackingRecorder):
    """Writes one row an event, with its tracking, as the library's examples do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shown = 0
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(TABLE)

    def show(self, seen: Any, tracking: Any) -> None:
        """Upserts the job's row."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(UPSERT, (str(seen.originator_id), seen.originator_version), prepare=True)
        self.shown += 1


class StockProjection(Projection[StockView]):
    """Follows every event."""

    topics = ()

    def process_event(self, domain_event: Any, tracking: Any) -> None:
        """Shows it."""
        self.view.show(domain_event, tracking)


@contextmanager
def projection(jobs: str) -> Iterator[Work]:
    """The library's stock ProjectionRunner, catching up with the events of so many jobs."""
    with _stock_jobs() as application:
        _save_histories(application, int(jobs))

    def work(seconds: float) -> int:
        with ProjectionRunner(
            application_class=StockJobs, projection_class=StockProjection, view_class=StockView
        ) as runner:
            view = runner.projection.view
            time.sleep(seconds)
        return int(view.shown)

    yield work


def _save_histories(application: StockJobs, jobs: int) -> None:
    for first in range(0, jobs, HISTORIES_AT_ONCE):
        histories = []
        for _ in range(first, min(first + HISTORIES_AT_ONCE, jobs)):
            job = StockJob(f"history-{os.getpid()}-{next(NUMBERS)}", LABELS)
            job.start(WORKER["worker"])
            job.succeed(OUTPUT)
            histories.append(job)
        application.save(*histories)


WORKLOADS: dict[str, Callable[..., AbstractContextManager[Work]]] = {
    "append": append,
    "projection": projection,
}


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    turns(partial(WORKLOADS[what], *given))
