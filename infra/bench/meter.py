"""Measures a run of one side of a row: its time, and the CPU of our processes and of PostgreSQL's."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from statistics import median
from typing import Any, Final, NamedTuple, Self

import psutil
import psycopg

START_TOLERANCE_SECONDS: Final = 5.0
"""How far the clocks of the server and of the operating system may be apart on when it started."""
MICROSECONDS: Final = 1e6


class Reading(NamedTuple):
    """One run of one side."""

    value: float
    """The measured value, in the row's unit."""
    cpu: float | None = None
    """CPU microseconds of the client process or processes for one operation; None if not measured."""
    server_cpu: float | None = None
    """CPU microseconds of all of PostgreSQL's processes for one operation; None if not measured."""


def find_postmaster(dsn: str) -> psutil.Process | None:
    """The server's first process; None if the server runs on another machine or in another container."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT pg_backend_pid(), extract(epoch FROM pg_postmaster_start_time())::float8"
        ).fetchone()
        assert row is not None
        with suppress(psutil.Error):
            postmaster = psutil.Process(row[0]).parent()
            if (
                postmaster is None
                or abs(postmaster.create_time() - row[1]) > START_TOLERANCE_SECONDS
            ):
                return None
            return postmaster
    return None


class Meter:
    """Measures the time and CPU of a `with` block."""

    def __init__(
        self, postmasters: Sequence[psutil.Process], processes: Sequence[psutil.Process] = ()
    ) -> None:
        """`processes` are the clients to measure; without any, this process and the children it waits for."""
        self._postmasters = postmasters
        self._processes = processes
        self.seconds = 0.0
        self.cpu = 0.0
        self.server_cpu: float | None = None

    def __enter__(self) -> Self:
        self._before = self._client_cpu(), self._server_cpu()
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._started
        client, server = self._before
        self.cpu = self._client_cpu() - client
        now = self._server_cpu()
        self.server_cpu = None if server is None or now is None else now - server

    def reading(self, value: float, operations: float, cpu: float | None = None) -> Reading:
        """Returns a value with the CPU time of one operation; `cpu` (seconds) replaces the measured CPU time."""
        own = self.cpu if cpu is None else cpu
        server = None if self.server_cpu is None else self.server_cpu * MICROSECONDS / operations
        return Reading(value, own * MICROSECONDS / operations, server)

    def rate(self, operations: float) -> Reading:
        """Operations a second."""
        return self.reading(operations / self.seconds, operations)

    def _client_cpu(self) -> float:
        if self._processes:
            return sum(_with_children(process) for process in self._processes)
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(each.ru_utime + each.ru_stime for each in used)

    def _server_cpu(self) -> float | None:
        with suppress(psutil.Error):
            return sum(_with_children(each) for each in self._postmasters) or None
        return None


def _with_children(process: psutil.Process) -> float:
    """Returns the CPU seconds of a process, of its children that ended, and of those that run."""
    while True:
        own = process.cpu_times()
        total = float(own.user + own.system + own.children_user + own.children_system)
        for child in process.children():
            with suppress(psutil.NoSuchProcess):
                times = child.cpu_times()
                total += times.user + times.system
        # A child that ended meanwhile was not counted, neither here nor there.
        if process.cpu_times().children_user == own.children_user:
            return total


def repeated(meter: Meter, call: Callable[[], Any], seconds: float) -> Reading:
    """Measures calls a second, for a number of seconds."""
    call()
    count = 0
    with meter:
        end = time.perf_counter() + seconds
        while count < 2 or time.perf_counter() < end:
            call()
            count += 1
    return meter.rate(count)


def milliseconds(
    meter: Meter, call: Callable[[], Any], seconds: float, at_least: int = 5
) -> Reading:
    """Calls for `seconds`, and returns the median duration in milliseconds; the first call is not counted."""
    call()
    taken: list[float] = []
    with meter:
        end = time.perf_counter() + seconds
        while len(taken) < at_least or time.perf_counter() < end:
            begin = time.perf_counter()
            call()
            taken.append((time.perf_counter() - begin) * 1_000)
    return meter.reading(median(taken), len(taken))
