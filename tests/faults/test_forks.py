"""Processes that are forked while a ledger is open: parent and child both use it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from jobledger import AsyncLedger, JobState, Ledger
from jobledger.client import Client

from tests.servers import Server

NAME = "projects/p/jobs/{}-{}"


def exit_code_of_child(work: Callable[[], object]) -> int:
    """Forks a process that works; returns 0 if nothing was raised."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def write(ledger: Ledger | Client, who: str, count: int = 20) -> None:
    for number in range(count):
        name = NAME.format(who, number)
        assert ledger.create(name).name == ledger.get(name).name == name


@pytest.mark.slow
def test_parent_and_child_write_and_read_at_once(ledger: Ledger) -> None:
    write(ledger, "before")
    threads = [threading.Thread(target=write, args=(ledger, f"t{n}", 100)) for n in range(4)]
    for thread in threads:
        thread.start()
    codes = [exit_code_of_child(partial(write, ledger, f"c{n}")) for n in range(2)]
    for thread in threads:
        thread.join()
    write(ledger, "after")
    assert codes == [0, 0]
    assert sum(1 for _ in ledger.events(follow=False)) == 2 * 20 + 4 * 100 + 2 * 20


@pytest.mark.slow
def test_a_child_uses_an_async_ledger_in_a_loop_of_its_own(dsn: str, ledger_name: str) -> None:
    async def write_all(ledger: AsyncLedger, who: str) -> None:
        names = [NAME.format(who, number) for number in range(20)]
        await asyncio.gather(*map(ledger.create, names))
        assert [(await ledger.get(name)).name for name in names] == names

    async def main() -> int:
        async with await AsyncLedger.open(dsn, ledger_name) as ledger:
            writing = asyncio.create_task(write_all(ledger, "before"))
            await asyncio.sleep(0)
            thread = asyncio.to_thread(
                exit_code_of_child, lambda: asyncio.run(write_all(ledger, "child"))
            )
            code = await thread
            await writing
            await write_all(ledger, "after")
            assert await ledger.size() == 60
            return code

    assert asyncio.run(main()) == 0


def test_a_child_that_leaves_a_block_of_its_parent_does_not_end_the_job(ledger: Ledger) -> None:
    name = NAME.format("run", 0)

    def leave() -> None:
        run.__exit__(None, None, None)

    run = ledger.run(name)
    with run:
        assert exit_code_of_child(leave) == 0
        assert ledger.get(name).state is JobState.RUNNING
    assert ledger.get(name).state is JobState.SUCCEEDED


def test_a_child_does_not_open_what_was_closed(dsn: str, ledger_name: str) -> None:
    ledger = Ledger.open(dsn, ledger_name)
    ledger.close()
    assert exit_code_of_child(lambda: write(ledger, "closed")) == 1


@pytest.mark.slow
def test_clients_of_a_server_do_not_get_each_other_s_answers(server: Server) -> None:
    with Client(server.url) as client, ThreadPoolExecutor(2) as pool:
        write(client, "http", 1)
        children = [
            pool.submit(exit_code_of_child, partial(write, client, f"http{n}")) for n in range(2)
        ]
        write(client, "http-parent")
        assert [child.result() for child in children] == [0, 0]
