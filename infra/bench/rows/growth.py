"""Rows of growth: a ledger of many events beside one of few, made the same way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count, islice
from typing import Any, Final

import httpx
import psutil
from jobledger.infra.bench.arena import Arena
from jobledger.infra.bench.meter import Reading
from jobledger.infra.bench.pairs import Sides
from jobledger.infra.bench.rows.past import RUNNING, History, history
from jobledger.infra.bench.rows.proof import proofs
from jobledger.infra.bench.serving import PROGRAM, served
from jobledger.infra.errors import LedgerUnavailableError

FED_EVENTS: Final = 10_000
"""How many events one turn reads from the end of the feed."""
TIMEOUT_SECONDS: Final = 600.0
MEBIBYTE: Final = 1024 * 1024
PATHS: Final = ("/", "/ledger/v1/jobs?pageSize=100", "/ledger/v1/jobs:count", "/reports")
PAGES: Final = 20
"""How often each path is requested before the server's memory is read."""
SAMPLE_SECONDS: Final = 0.05


def histories(arena: Arena) -> tuple[History, History]:
    """The long history and the short one, made once a run."""
    grown = history(arena, arena.sizes.grown, is_longer=True)
    return grown, history(arena, arena.sizes.young, is_longer=True)


@contextmanager
def _both(arena: Arena, call: Callable[[History], Callable[[], Any]]) -> Iterator[Sides]:
    """Milliseconds of a call on the long history, beside the same call on the short one."""
    ours, theirs = (call(each) for each in histories(arena))
    yield Sides(lambda: arena.milliseconds(ours), lambda: arena.milliseconds(theirs))


@contextmanager
def append(arena: Arena) -> Iterator[Sides]:
    """Milliseconds to create a job."""
    numbers = count()

    def call(of: History) -> Callable[[], Any]:
        return lambda: of.ledger.create(f"projects/bench/jobs/grown_{os.getpid()}_{next(numbers)}")

    with _both(arena, call) as sides:
        yield sides


@contextmanager
def get(arena: Arena) -> Iterator[Sides]:
    """Milliseconds to get one of the jobs."""
    with _both(arena, lambda of: _each(of, of.ledger.get)) as sides:
        yield sides


@contextmanager
def history_of_job(arena: Arena) -> Iterator[Sides]:
    """Milliseconds to read the events of one of the jobs."""
    with _both(arena, lambda of: _each(of, of.ledger.history)) as sides:
        yield sides


@contextmanager
def count_as_of(arena: Arena) -> Iterator[Sides]:
    """Milliseconds to count jobs by state as of a time in the middle."""
    with _both(arena, lambda of: lambda: of.ledger.count(as_of=of.middle)) as sides:
        yield sides


@contextmanager
def list_as_of(arena: Arena) -> Iterator[Sides]:
    """Milliseconds for a page of running jobs as of a time in the middle."""

    def call(of: History) -> Callable[[], Any]:
        return lambda: of.ledger.page(filter=RUNNING, page_size=arena.sizes.page, as_of=of.middle)

    with _both(arena, call) as sides:
        yield sides


@contextmanager
def inclusion(arena: Arena) -> Iterator[Sides]:
    """Milliseconds to prove that some event is in the log."""
    ours, theirs = (each.ledger for each in histories(arena))
    ours.checkpoint()
    theirs.checkpoint()
    yield Sides(lambda: proofs(arena, ours), lambda: proofs(arena, theirs))


@contextmanager
def feed(arena: Arena) -> Iterator[Sides]:
    """Milliseconds to read the last 10,000 events of the feed."""

    def call(of: History) -> Callable[[], Any]:
        after = max(0, of.ledger.size() - FED_EVENTS)
        return lambda: sum(1 for _ in of.ledger.events(after, follow=False))

    with _both(arena, call) as sides:
        yield sides


@contextmanager
def page(arena: Arena) -> Iterator[Sides]:
    """Milliseconds until the server has sent the fleet page."""
    ours, theirs = (each.ledger.name for each in histories(arena))
    with (
        served(arena, ours) as long,
        served(arena, theirs) as short,
        httpx.Client(timeout=TIMEOUT_SECONDS) as client,
    ):
        yield Sides(
            lambda: arena.milliseconds(lambda: client.get(f"{long.url}/").raise_for_status()),
            lambda: arena.milliseconds(lambda: client.get(f"{short.url}/").raise_for_status()),
        )


@contextmanager
def server_memory(arena: Arena) -> Iterator[Sides]:
    """The memory of a server in MiB, after requests for pages, lists and counts."""

    def measure(of: History) -> Reading:
        with (
            served(arena, of.ledger.name) as server,
            httpx.Client(timeout=TIMEOUT_SECONDS) as client,
        ):
            for path in PATHS * PAGES:
                client.get(f"{server.url}{path}").raise_for_status()
            return Reading(psutil.Process(server.pid).memory_info().rss / MEBIBYTE)

    ours, theirs = histories(arena)
    yield Sides(cache(lambda: measure(ours)), cache(lambda: measure(theirs)))


@contextmanager
def export_memory(arena: Arena) -> Iterator[Sides]:
    """MiB that an export of all events takes at its most; measured once."""
    ours, theirs = (each.ledger.name for each in histories(arena))
    yield Sides(cache(lambda: _peak(arena, ours)), cache(lambda: _peak(arena, theirs)))


def _each(of: History, call: Callable[[str], Any]) -> Callable[[], Any]:
    """Calls it with another job's name each time."""
    numbers, names = count(), [job.name for job in islice(of.ledger.scan(), 1_000)]
    return lambda: call(names[next(numbers) * 7 % len(names)])


def _peak(arena: Arena, ledger: str) -> Reading:
    """The most memory that an export had, as often as it was looked at."""
    command = [sys.executable, "-c", PROGRAM, "--dsn", arena.dsn, "--ledger", ledger, "export"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most, watched = 0, psutil.Process(process.pid)
    while process.poll() is None:
        most = max(most, watched.memory_info().rss)
        try:
            process.wait(SAMPLE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    if process.returncode:
        raise LedgerUnavailableError(f"an export ended with {process.returncode}")
    return Reading(most / MEBIBYTE)
