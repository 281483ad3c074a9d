"""Workloads on the ledger, one process each: `python -m jobledger.infra.bench.peers.load WHAT …`.

For each line of its input that holds a number of seconds it opens the ledger, warms up, and waits for
another line; then it works for so long and prints what it did (see `turns`). A job is three durable appends of
one event each: Created with two labels, Started by a worker, Succeeded with an output.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from threading import Thread

import orjson
import uvloop
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
SHARED_JOBS = 8
"""Jobs that all processes write to."""
WARM_SHARE = 0.25
"""The warm-up, as a share of the measured seconds."""

NUMBERS = count()
"""Numbers for jobs' names, so that no turn repeats a name of another."""

Work = Callable[[float], int]
"""Works for a number of seconds; returns how many events it appended."""


def ready_events(jobs: int) -> Iterator[Event]:
    """The workload's events, decided already."""
    begin = datetime.now(UTC)
    for number in range(jobs):
        name = f"projects/bench/jobs/ready_{number:08d}"
        yield Event(name, 1, e.Created(labels=LABELS), begin)
        yield Event(name, 2, e.Started.model_validate(WORKER), begin)
        yield Event(name, 3, e.Succeeded(output=OUTPUT), begin)


def in_threads(threads: int, seconds: float, step: Callable[[int], int]) -> int:
    """How many events that many callers append; `step` is given the caller's number."""
    counts = [0] * threads
    stop = time.monotonic() + seconds

    def call(caller: int) -> None:
        counts[caller] = step(caller)
        while time.monotonic() < stop:
            counts[caller] += step(caller)

    callers = [Thread(target=call, args=(number,)) for number in range(threads)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return sum(counts)


def one_job(ledger: Ledger, name: str) -> int:
    """One job's life."""
    ledger.create(name, LABELS)
    ledger.started(name, WORKER)
    ledger.succeeded(name, OUTPUT)
    return 3


@contextmanager
def append(
    dsn: str, name: str, threads: str, following: str = "", sealing: str = "", home: str = ""
) -> Iterator[Work]:
    """Appends through `Ledger`.

    Args:
        dsn: The connection string.
        name: The ledger's name.
        threads: How many callers.
        following: "leave" lets no projection catch up, "follow" waits until they have.
        sealing: "sealed" signs with a key of its own under `home`, "unsealed" lets no tree grow.
        home: The folder of keys.

    Yields:
        The work, which returns the number of events for a number of seconds.
    """
    if sealing:
        os.environ |= {"JOBLEDGER_SEAL": str(sealing == "sealed"), "JOBLEDGER_HOME": home}
    if sealing == "sealed":
        with connect(server(dsn, name)) as connection:
            name_log(connection, Settings())
    with Ledger.open(dsn, name, catch_up=following != "leave") as ledger:

        def step(caller: int) -> int:
            return one_job(ledger, f"projects/bench/jobs/j-{os.getpid()}-{caller}-{next(NUMBERS)}")

        def work(seconds: float) -> int:
            written = in_threads(int(threads), seconds, step)
            if following == "follow":
                ledger.follow(ledger.size())
            return written

        yield work


@contextmanager
def shared(dsn: str, name: str, threads: str) -> Iterator[Work]:
    """As `append`, but a quarter of the writes report progress of jobs that all processes share."""
    with Ledger.open(dsn, name) as ledger:
        jobs = [f"projects/bench/jobs/shared-{number}" for number in range(SHARED_JOBS)]

        def step(caller: int) -> int:
            number = next(NUMBERS)
            ledger.progress_reported(jobs[number % SHARED_JOBS], {"step": number})
            own = f"projects/bench/jobs/s-{os.getpid()}-{caller}-{number}"
            return 1 + one_job(ledger, own)

        yield lambda seconds: in_threads(int(threads), seconds, step)


@contextmanager
def append_async(dsn: str, name: str, tasks: str) -> Iterator[Work]:
    """Appends through `AsyncLedger`, from tasks of one loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ledger: AsyncLedger = runner.run(AsyncLedger.open(dsn, name))

        async def call(stop: float) -> int:
            jobs = 0
            while not jobs or time.monotonic() < stop:
                job = f"projects/bench/jobs/a-{os.getpid()}-{next(NUMBERS)}"
                await ledger.create(job, LABELS)
                await ledger.started(job, WORKER)
                await ledger.succeeded(job, OUTPUT)
                jobs += 1
            return 3 * jobs

        async def calls(seconds: float) -> int:
            stop = time.monotonic() + seconds
            return sum(await asyncio.gather(*(call(stop) for _ in range(int(tasks)))))

        yield lambda seconds: runner.run(calls(seconds))
        runner.run(ledger.close())


def turns(workload: Callable[[], AbstractContextManager[Work]]) -> None:
    """Takes turns until the input ends: between them nothing is open, and nothing works.

    What is printed of a turn is the number of events, and the seconds and CPU seconds that they took.
    """
    for line in sys.stdin:
        seconds = float(line)
        with workload() as work:
            work(seconds * WARM_SHARE)
            print("ready", flush=True)
            sys.stdin.readline()
            begin, cpu = time.monotonic(), time.process_time()
            events = work(seconds)
            taken = time.monotonic() - begin, time.process_time() - cpu
            print(orjson.dumps([events, *taken]).decode(), flush=True)
        print("over", flush=True)


WORKLOADS: dict[str, Callable[..., AbstractContextManager[Work]]] = {
    "append": append,
    "shared": shared,
    "append_async": append_async,
}


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    turns(partial(WORKLOADS[what], *given))
