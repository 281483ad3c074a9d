"""Limited resources of a server are shared fairly: connections, places, threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobledger.infra import Ledger
from jobledger.infra.errors import LedgerUnavailableError, OverloadedError
from jobledger.infra.read.fair_threads import ASKED_BY, FairThreads
from jobledger.infra.serving.connections import BODY_SECONDS, HEAD_SECONDS, Connections
from jobledger.infra.serving.shares import Shares


class Fake:
    """A connection that knows whether it was closed."""

    def __init__(self) -> None:
        self.in_body = False
        self.is_open = True
        self.waits_since: float | None = None

    def abort(self) -> None:
        self.is_open = False


@pytest.mark.slow
@given(
    most=st.integers(2, 12),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["open", "close", "work", "wait"]),
            st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2", "fe80::1%eth0"]),
            st.integers(0, 20),
        ),
        max_size=60,
    ),
)
def test_connections_never_exceed_the_limit_and_those_in_work_are_kept(
    most: int, steps: list[tuple[str, str, int]]
) -> None:
    now = 0.0
    connections = Connections(lambda: now, lambda: most)
    opened: list[Fake] = []
    working: set[int] = set()
    for what, address, which in steps:
        now += 0.1
        if what == "open":
            one = Fake()
            opened.append(one)
            connections.open(one, address)
        elif opened:
            one = opened[which % len(opened)]
            if not one.is_open:
                continue
            if what == "close":
                one.is_open = False
                connections.close(one)
            elif what == "work":
                working.add(id(one))
                one.waits_since = None
            else:
                working.discard(id(one))
                one.waits_since = now
            if not one.is_open:
                working.discard(id(one))
        still = [one for one in opened if one.is_open]
        assert len(still) == len(connections) <= most
        for one in opened:
            assert one.is_open or id(one) not in working or what == "close"
            if not one.is_open:
                working.discard(id(one))
    now += BODY_SECONDS + 1
    connections.sweep()
    assert {id(one) for one in opened if one.is_open} == working


def test_a_head_times_out_before_a_body_and_a_request_in_work_does_not() -> None:
    now = 0.0
    connections = Connections(lambda: now, lambda: 10)
    head, body, work = Fake(), Fake(), Fake()
    for one in (head, body, work):
        connections.open(one, "a")
    body.in_body = True
    work.waits_since = None
    now = HEAD_SECONDS + 0.1
    connections.sweep()
    assert (head.is_open, body.is_open, work.is_open) == (False, True, True)
    now = BODY_SECONDS + 0.1
    connections.sweep()
    assert (body.is_open, work.is_open) == (False, True)


def test_one_address_gets_half_of_the_connections_and_gives_up_its_own() -> None:
    connections = Connections(lambda: 0.0, lambda: 8)
    mine = [Fake() for _ in range(10)]
    yours = [Fake() for _ in range(4)]
    for one in mine:
        connections.open(one, "mine")
    for one in yours:
        connections.open(one, "yours")
    assert [one.is_open for one in mine] == [False] * 6 + [True] * 4
    assert all(one.is_open for one in yours)


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from([None, b"a", b"b"]), st.integers(1, 5)), max_size=40))
def test_a_caller_holds_at_most_its_share_and_returns_it(
    takes: list[tuple[bytes | None, int]],
) -> None:
    shares, held = Shares(12, "{} are held"), list[tuple[bytes | None, int]]()
    for caller, amount in takes:
        mine = sum(n for who, n in held if who == caller)
        every = sum(n for _, n in held)
        fits = every + amount <= 12 and (caller is None or mine + amount <= 9)
        try:
            shares.take(caller, amount)
        except OverloadedError:
            assert not fits
            if held:
                shares.give(*held.pop(0))
        else:
            assert fits
            held.append((caller, amount))
    for caller, amount in held:
        shares.give(caller, amount)
    assert shares.taken == 0


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition; fails after a time limit."""
    for _ in range(3_000):
        if await asyncio.to_thread(condition):
            return
        await asyncio.sleep(0.02)
    pytest.fail("it did not come true")


async def as_caller(caller: str, threads: FairThreads, read: Callable[[], Any]) -> Any:
    ASKED_BY.set(caller)
    return await threads.run(read)


async def test_one_callers_many_reads_leave_threads_to_others() -> None:
    threads, release, begun = FairThreads(8, "test"), Event(), list[str]()

    def slow(caller: str) -> None:
        begun.append(caller)
        release.wait(30)

    async def settled() -> None:
        before = -1
        while before != len(begun):
            before = len(begun)
            await asyncio.sleep(0.05)

    tasks = list[asyncio.Task[None]]()
    for caller in ("heavy", "second", "third", "fourth"):
        reads = [as_caller(caller, threads, partial(slow, caller)) for _ in range(20)]
        tasks += map(asyncio.create_task, reads)
        await settled()
    counts = [begun.count(caller) for caller in ("heavy", "second", "third", "fourth")]
    assert counts == [4, 2, 1, 1]
    release.set()
    await asyncio.gather(*tasks)
    assert len(begun) == 80
    threads.shutdown()


async def test_an_unidentified_caller_may_use_all_threads_and_may_stop_waiting() -> None:
    threads, release, begun = FairThreads(2, "test"), Event(), list[int]()

    def slow() -> None:
        begun.append(1)
        release.wait(30)

    tasks = [asyncio.create_task(threads.run(slow)) for _ in range(4)]
    await until(lambda: len(begun) == 2)
    tasks[3].cancel()
    await asyncio.sleep(0.05)
    release.set()
    await asyncio.gather(*tasks[:3])
    assert len(begun) == 3
    with pytest.raises(asyncio.CancelledError):
        await tasks[3]
    assert await threads.run(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    threads.shutdown()


def sleeping(ledger: Ledger) -> int:
    with ledger.connection() as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(31)%'"
            " AND state = 'active' AND pid <> pg_backend_pid()"
        ).fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.slow
@pytest.mark.parametrize("own", [False, True], ids=["pool", "own connection"])
async def test_the_query_of_a_caller_that_gave_up_is_cancelled(
    ledger: Ledger, *, own: bool
) -> None:
    threads, outcome = FairThreads(2, "test"), list[BaseException]()

    def query() -> None:
        try:
            reader = ledger.reader
            with reader.connection() if own else reader.pool.connection() as connection:
                connection.execute("SELECT pg_sleep(31)")
        except psycopg.Error as error:
            outcome.append(error)

    task = asyncio.create_task(threads.run(query))
    await until(lambda: sleeping(ledger) > 0)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: bool(outcome))
    assert time.monotonic() - began < 30
    assert isinstance(outcome[0], psycopg.errors.QueryCanceled)
    # The connection that a late cancellation might hit is not used again.
    assert await threads.run(ledger.reader.size) == 0
    threads.shutdown()


async def test_abandoned_work_starts_no_further_query(ledger: Ledger) -> None:
    threads, begun, release, refused = FairThreads(1, "test"), Event(), Event(), Event()

    def two_steps() -> None:
        begun.set()
        release.wait(30)
        try:
            ledger.reader.size()
        except LedgerUnavailableError:
            refused.set()

    task = asyncio.create_task(threads.run(two_steps))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.1)
    release.set()
    assert await asyncio.to_thread(refused.wait, 10)
    threads.shutdown()
