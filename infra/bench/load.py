"""Workloads, one process each: `python -m jobledger.infra.bench.load WHAT …` prints events per second.

A job is three durable appends of one event each: Created with two labels,
Started by a worker, Succeeded with an output.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import uvloop
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import InternalError
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from jobledger.domain import events as e
from jobledger.domain.events import Event
from jobledger.infra.async_ledger import AsyncLedger
from jobledger.infra.ledger import Ledger
from jobledger.infra.postgres.connections import connect
from jobledger.infra.postgres.server import server
from jobledger.infra.proof.signing.origin import name_log
from jobledger.infra.settings import Settings

LABELS = {"team": "search", "env": "prod"}
WORKER = {"worker": "worker-17"}
OUTPUT = {"modelUri": "gs://bucket/model/12345678901234"}


def ready_events(jobs: int) -> Iterator[Event]:
    """The workload's events, decided already."""
    begin = datetime.now(UTC)
    for number in range(jobs):
        name = f"projects/bench/jobs/ready_{number:08d}"
        yield Event(name, 1, e.Created(labels=LABELS), begin)
        yield Event(name, 2, e.Started.model_validate(WORKER), begin)
        yield Event(name, 3, e.Succeeded(output=OUTPUT), begin)


def _in_threads(threads: int, seconds: float, one_job: Callable[[str], None]) -> float:
    """Events a second of so many callers."""
    counts = [0] * threads
    stop = time.monotonic() + seconds

    def call(number: int) -> None:
        while time.monotonic() < stop:
            one_job(f"{os.getpid()}-{number}-{counts[number]}")
            counts[number] += 1

    callers = [Thread(target=call, args=(number,)) for number in range(threads)]
    begin = time.monotonic()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return 3 * sum(counts) / (time.monotonic() - begin)


def append(
    dsn: str,
    ledger: str,
    threads: int,
    seconds: float,
    following: str = "",
    sealing: str = "",
    home: str = "",
) -> float:
    """Through `Ledger`; `following`: "leave" lets no projection follow, "follow" waits until they have.

    `sealing`: "sealed" signs with a key of its own under `home`, "unsealed" lets no tree grow.
    """
    if sealing:
        os.environ |= {"JOBLEDGER_SEAL": str(sealing == "sealed"), "JOBLEDGER_HOME": home}
    if sealing == "sealed":
        with connect(server(dsn, ledger)) as connection:
            name_log(connection, Settings())
    with Ledger.open(dsn, ledger, catch_up=following != "leave") as opened:

        def one_job(number: str) -> None:
            name = f"projects/bench/jobs/j-{number}"
            opened.create(name, LABELS)
            opened.started(name, WORKER)
            opened.succeeded(name, OUTPUT)

        _in_threads(threads, 0.5, one_job)
        begin = time.monotonic()
        speed = _in_threads(threads, seconds, lambda number: one_job(f"m-{number}"))
        taken = time.monotonic() - begin
        if following == "follow":
            opened.follow(opened.size())
        return speed * taken / (time.monotonic() - begin)


async def append_async(dsn: str, ledger: str, tasks: int, seconds: float) -> float:
    """Events a second through `AsyncLedger`, of so many tasks."""
    async with await AsyncLedger.open(dsn, ledger) as opened:

        async def one_job(number: str) -> None:
            name = f"projects/bench/jobs/a-{number}"
            await opened.create(name, LABELS)
            await opened.started(name, WORKER)
            await opened.succeeded(name, OUTPUT)

        async def call(task: int, stop: float, phase: str) -> int:
            jobs = 0
            while time.monotonic() < stop:
                await one_job(f"{phase}-{os.getpid()}-{task}-{jobs}")
                jobs += 1
            return jobs

        async def measure(seconds: float, phase: str) -> float:
            begin = time.monotonic()
            calls = (call(task, begin + seconds, phase) for task in range(tasks))
            return 3 * sum(await asyncio.gather(*calls)) / (time.monotonic() - begin)

        await measure(0.5, "w")
        return await measure(seconds, "m")


class StockJob(Aggregate):
    """The same job in the library's own style."""

    @event("Created")
    def __init__(self, name: str, labels: dict[str, str]) -> None:
        self.name = name
        self.labels = labels

    @event("Started")
    def start(self, worker: str) -> None:
        self.worker = worker

    @event("Succeeded")
    def succeed(self, output: dict[str, str]) -> None:
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


def stock_history(jobs: int) -> float:
    """Saves so many jobs' histories, hundreds at a time; how many events."""
    with StockJobs() as application:
        for first in range(0, jobs, 500):
            histories = []
            for number in range(first, min(first + 500, jobs)):
                job = StockJob(f"history-{number}", LABELS)
                job.start(WORKER["worker"])
                job.succeed(OUTPUT)
                histories.append(job)
            application.save(*histories)
    return 3.0 * jobs


def _stock_jobs() -> StockJobs:
    """Begun again where several begin at once, and the library's own making of tables fails."""
    for wait in (0.1, 0.2, 0.4, 0.8):
        try:
            return StockJobs()
        except InternalError:
            time.sleep(wait * (1 + os.getpid() % 7))
    return StockJobs()


def stock(seconds: float) -> float:
    """One process of the library's stock Application; POSTGRES_* say where."""
    with _stock_jobs() as jobs:
        _in_threads(1, 0.5, jobs.run)
        return _in_threads(1, seconds, jobs.run)


class StockView(PostgresTrackingRecorder):
    """Writes one row an event, with its tracking, as the library's examples do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shown = 0
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS public.stock_jobs (id text PRIMARY KEY, version bigint)"
            )

    def show(self, seen: Any, tracking: Any) -> None:
        """Upserts the job's row."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                "INSERT INTO public.stock_jobs VALUES (%s, %s)"
                " ON CONFLICT (id) DO UPDATE SET version = excluded.version",
                (str(seen.originator_id), seen.originator_version),
                prepare=True,
            )
        self.shown += 1


class StockProjection(Projection[StockView]):
    """Follows every event."""

    topics = ()

    def process_event(self, domain_event: Any, tracking: Any) -> None:
        """Shows it."""
        self.view.show(domain_event, tracking)


def stock_projection(seconds: float) -> float:
    """Events a second of the library's stock ProjectionRunner, catching up."""
    with ProjectionRunner(
        application_class=StockJobs, projection_class=StockProjection, view_class=StockView
    ) as runner:
        time.sleep(0.5)
        before, begin = runner.projection.view.shown, time.monotonic()
        time.sleep(seconds)
        return float(runner.projection.view.shown - before) / (time.monotonic() - begin)


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    match what:
        case "append":
            print(append(given[0], given[1], int(given[2]), float(given[3]), *given[4:]))
        case "append_async":
            loading = append_async(given[0], given[1], int(given[2]), float(given[3]))
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                print(runner.run(loading))
        case "stock_history":
            print(stock_history(int(given[0])))
        case "stock":
            print(stock(float(given[0])))
        case "stock_projection":
            print(stock_projection(float(given[0])))
