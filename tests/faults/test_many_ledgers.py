"""Many ledgers open in one process: their background work shares a few threads fairly."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from threading import Barrier, Event

import pytest
from jobledger import Ledger
from jobledger.infra.background import MAX_THREADS, BackgroundWorker

LEDGERS = 20


def named(prefix: str) -> int:
    return sum(thread.name.startswith(prefix) for thread in threading.enumerate())


@pytest.mark.slow
@pytest.mark.usefixtures("signing_in_background")
def test_ledgers_of_a_process_share_the_threads_of_their_background_work(
    dsn: str, ledger_name: str
) -> None:
    before = threading.active_count()
    with ExitStack() as stack:
        ledgers = [stack.enter_context(Ledger.open(dsn, ledger_name)) for _ in range(LEDGERS)]
        for number, ledger in enumerate(ledgers):
            ledger.create(f"projects/p/jobs/j{number}")
        assert named("jobledger-background") <= MAX_THREADS
        assert named("jobledger-committer") == 0
        # A pool of readers has a worker and a scheduler.
        assert threading.active_count() <= before + MAX_THREADS + 2 * LEDGERS
    assert threading.active_count() <= before + MAX_THREADS


def test_each_of_many_workers_works_after_it_was_woken() -> None:
    done = [Event() for _ in range(50)]

    def setting(one: Event) -> Callable[[Event], None]:
        return lambda _: one.set()

    workers = [BackgroundWorker(setting(one), pause_seconds=0.01) for one in done]
    for worker in workers:
        worker.wake()
    assert all(one.wait(30) for one in done)
    for worker in workers:
        worker.close()


def test_a_worker_never_works_twice_at_once_and_again_if_woken_meanwhile() -> None:
    running, most, runs = 0, 0, 0
    entered, leave, again = Event(), Event(), Event()

    def work(_: Event) -> None:
        nonlocal running, most, runs
        running += 1
        most, runs = max(most, running), runs + 1
        entered.set()
        leave.wait(30)
        running -= 1
        if runs == 2:
            again.set()

    worker = BackgroundWorker(work, pause_seconds=0.01)
    worker.wake()
    assert entered.wait(30)
    for _ in range(5):
        worker.wake()
    leave.set()
    assert again.wait(30)
    worker.close()
    assert (most, runs) == (1, 2)


def test_long_work_of_one_ledger_does_not_block_others() -> None:
    """As long as there are fewer of them than threads."""
    busy, leave, done = Barrier(MAX_THREADS), Event(), Event()

    def work(_: Event) -> None:
        busy.wait(30)
        leave.wait(30)

    slow = [BackgroundWorker(work, pause_seconds=0.0) for _ in range(MAX_THREADS - 1)]
    for worker in slow:
        worker.wake()
    busy.wait(30)
    quick = BackgroundWorker(lambda _: done.set(), pause_seconds=0.0)
    quick.wake()
    assert done.wait(30)
    leave.set()
    for worker in (*slow, quick):
        worker.close()


def test_closing_waits_for_the_work_and_works_once_more_at_the_end() -> None:
    seen: list[bool] = []
    entered = Event()

    def work(closed: Event) -> None:
        entered.set()
        closed.wait(30)
        seen.append(closed.is_set())

    worker = BackgroundWorker(work, pause_seconds=0.0, at_end=True)
    worker.wake()
    assert entered.wait(30)
    worker.close()
    assert seen == [True, True]
    worker.wake()
    time.sleep(0.05)
    assert seen == [True, True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_has_background_threads_of_its_own() -> None:
    parents = BackgroundWorker(lambda _: None, pause_seconds=0.0)
    parents.wake()
    pid = os.fork()
    if pid == 0:
        done = Event()
        BackgroundWorker(lambda _: done.set(), pause_seconds=0.0).wake()
        os._exit(0 if done.wait(20) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    parents.close()
