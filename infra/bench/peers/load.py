"""Workloads on the ledger, one process each: `python -m jobledger.infra.bench.peers.load WHAT …`.

The process prints a line once it is warm; then, for each line of its input that holds a number of
seconds, it works for so long and prints what it did (see `turns`). A job is three durable appends of
one event each: Created with two labels, Started by a worker, Succeeded with an output.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
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
SHARED_EVERY = 4
"""One in so many writes is on a shared job."""
WARM_SECONDS = 0.5

Work = Callable[[float], int]
"""Works for so many seconds; returns how many events it appended."""


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
    """Through `Ledger`; `following`: "leave" lets no projection follow, "follow" waits until they have.

    `sealing`: "sealed" signs with a key of its own under `home`, "unsealed" lets no tree grow.
    """
    if sealing:
        os.environ |= {"JOBLEDGER_SEAL": str(sealing == "sealed"), "JOBLEDGER_HOME": home}
    if sealing == "sealed":
        with connect(server(dsn, name)) as connection:
            name_log(connection, Settings())
    numbers = count()
    with Ledger.open(dsn, name, catch_up=following != "leave") as ledger:

        def step(caller: int) -> int:
            return one_job(ledger, f"projects/bench/jobs/j-{os.getpid()}-{caller}-{next(numbers)}")

        def work(seconds: float) -> int:
            written = in_threads(int(threads), seconds, step)
            if following == "follow":
                ledger.follow(ledger.size())
            return written

        yield work


@contextmanager
def shared(dsn: str, name: str, threads: str) -> Iterator[Work]:
    """As `append`, but a quarter of the writes report progress of jobs that all processes share."""
    numbers = count()
    with Ledger.open(dsn, name) as ledger:
        jobs = [f"projects/bench/jobs/shared-{number}" for number in range(SHARED_JOBS)]

        def step(caller: int) -> int:
            number = next(numbers)
            ledger.progress_reported(jobs[number % SHARED_JOBS], {"step": number})
            own = f"projects/bench/jobs/s-{os.getpid()}-{caller}-{number}"
            return 1 + one_job(ledger, own)

        yield lambda seconds: in_threads(int(threads), seconds, step)


@contextmanager
def append_async(dsn: str, name: str, tasks: str) -> Iterator[Work]:
    """Through `AsyncLedger`, of so many tasks of one loop."""
    numbers = count()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ledger: AsyncLedger = runner.run(AsyncLedger.open(dsn, name))

        async def call(stop: float) -> int:
            jobs = 0
            while time.monotonic() < stop:
                job = f"projects/bench/jobs/a-{os.getpid()}-{next(numbers)}"
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


def turns(work: Work) -> None:
    """Warms up and says so; then works as long as each line of the input says, and prints what was done.

    That is the number of events, and the seconds and CPU seconds that they took.
    """
    work(WARM_SECONDS)
    print("ready", flush=True)
    for line in sys.stdin:
        begin, cpu = time.monotonic(), time.process_time()
        events = work(float(line))
        taken = time.monotonic() - begin, time.process_time() - cpu
        print(orjson.dumps([events, *taken]).decode(), flush=True)


WORKLOADS = {"append": append, "shared": shared, "append_async": append_async}


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    with WORKLOADS[what](*given) as working:
        turns(working)
