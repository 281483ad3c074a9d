"""A process of clients that write and read one ledger, and log requests and answers.

Usage: python -m tests.faults.client DSN LEDGER LOG THREADS. It ends at end of input.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from threading import Event, Lock, Thread
from typing import Any, BinaryIO

import orjson
from jobledger import Job, Ledger, LedgerError, LedgerUnavailableError

SHARED = [f"projects/p/jobs/shared{n}" for n in range(4)]
"""Jobs that all threads of all processes write to."""
RETRY_SECONDS = 0.1


class Log:
    """A file with a line of JSON for each record, written at once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = Lock()

    def write(self, **record: Any) -> None:
        with self._lock:
            self._file.write(orjson.dumps(record) + b"\n")
            self._file.flush()


def write(ledger: Ledger, log: Log, who: str, stop: Event) -> None:
    """Writes jobs of its own and shared ones; a marker in each event says which request it is of."""
    random = Random(who)
    for number in itertools.count():
        if stop.is_set():
            return
        marker = f"{who}-{number}"
        name = random.choice([*SHARED, f"projects/p/jobs/{who}-{number // 4}"])
        ask(ledger, log, name, marker, stop)


def ask(ledger: Ledger, log: Log, name: str, marker: str, stop: Event) -> None:
    """A command, which may be refused, and a report, which never is for what it says."""
    create = partial(ledger.create, name, {"m": marker}, actor=marker, request_id=marker)
    repeat(create, log, name, marker, stop)
    marker = f"{marker}-r"
    report = partial(ledger.progress_reported, name, {"m": marker}, actor=marker, request_id=marker)
    repeat(report, log, name, marker, stop)


def repeat(request: Callable[[], Job], log: Log, name: str, marker: str, stop: Event) -> None:
    """Repeats one request with its id until its outcome is known."""
    began = time.monotonic()
    log.write(kind="asked", marker=marker, name=name)
    while True:
        try:
            version = request().version
        except LedgerUnavailableError as error:
            log.write(kind="unknown", marker=marker, written=error.written)
            if stop.is_set():
                return
            time.sleep(RETRY_SECONDS)
        except LedgerError as error:
            log.write(kind="refused", marker=marker, error=type(error).__name__)
            return
        else:
            times = {"began": began, "ended": time.monotonic()}
            log.write(kind="done", marker=marker, name=name, version=version, **times)
            return


def read(ledger: Ledger, log: Log, who: str, stop: Event) -> None:
    """Reads the past at pinned moments, so that the judge can repeat the reads."""
    random = Random(who)
    while not stop.wait(0.02):
        try:
            last = ledger.size()
            at = f"@{random.randint(0, last)}" if last else "@0"
            counts = ledger.count(as_of=at).counts
            listed = [[job.name, job.version] for job in ledger.list(as_of=at, limit=5)]
        except LedgerError as error:
            log.write(kind="unread", error=type(error).__name__)
        else:
            log.write(kind="past", at=at, counts=counts, jobs=listed)


def follow(ledger: Ledger, log: Log, stop: Event) -> None:
    """Follows the feed, and continues after interruptions."""
    after = 0
    while not stop.is_set():
        try:
            for event in ledger.events(after):
                after = event.position
                log.write(kind="fed", position=after, name=event.name, version=event.version)
        except LedgerError:
            time.sleep(RETRY_SECONDS)


def main(dsn: str, name: str, folder: str, threads: str) -> None:
    """Runs until its input ends."""
    who, stop = Path(folder).stem, Event()
    while True:
        try:
            ledger = Ledger.open(dsn, name)
            break
        except LedgerUnavailableError:
            time.sleep(RETRY_SECONDS)
    with Path(folder).open("ab") as file:
        log = Log(file)
        working = [
            Thread(target=write, args=(ledger, log, f"{who}t{n}", stop))
            for n in range(int(threads))
        ]
        working.append(Thread(target=read, args=(ledger, log, f"{who}r", stop)))
        feed = Thread(target=follow, args=(ledger, log, stop))
        for thread in (*working, feed):
            thread.start()
        sys.stdin.read()
        stop.set()
        for thread in working:
            thread.join()
        ledger.close()
        feed.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
