"""Reads of asyncio's tasks: one that is given up or broken off leaves nothing behind."""

import asyncio
from contextlib import aclosing

import pytest
from jobledger import AsyncLedger, JobNotFoundError, LedgerUnavailableError
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.read.async_reader import CHUNK
from psycopg.conninfo import make_conninfo

from tests.loops import Factory
from tests.tasks import blocked, connections, locked, number, until

LOCK_JOBS = "LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"
NAME = "projects/p/jobs/one"


def name_of(number: int) -> str:
    return f"projects/p/jobs/j{number}"


async def assert_all_given_back(ledger: AsyncLedger) -> None:
    """No connection of the readers' pool is in use."""

    async def are_back() -> bool:
        stats = ledger.ledger.pool.get_stats()
        return bool(stats.get("pool_size", 0) == stats.get("pool_available", 0))

    await until(are_back, f"connections come back: {ledger.ledger.pool.get_stats()}")


@pytest.mark.slow
async def test_tasks_that_wait_share_a_read(
    dsn: str, ledger_name: str, loop_factory: Factory
) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        for n in range(3):
            await ledger.create(name_of(n))
        await ledger.cancel(name_of(2))
        await ledger.delete(name_of(2))
        asked = [name_of(n % 5) for n in range(64)]
        answers = await asyncio.gather(*map(ledger.get, asked), return_exceptions=True)
        for name, answer in zip(asked, answers, strict=True):
            if name in {name_of(0), name_of(1)}:
                assert not isinstance(answer, BaseException)
                assert answer.name == name
            else:
                assert isinstance(answer, JobNotFoundError)
                assert answer.deleted is (name == name_of(2))
        with pytest.raises(InvalidFieldError):
            await ledger.get("nonsense")


@pytest.mark.slow
async def test_a_read_that_is_given_up_fails_no_other(
    dsn: str, ledger_name: str, loop_factory: Factory
) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        await ledger.create(NAME)
        async with locked(ledger, LOCK_JOBS) as connection:
            reads = [asyncio.create_task(ledger.get(NAME)) for _ in range(3)]
            listed = [asyncio.create_task(ledger.list()) for _ in range(2)]
            await blocked(connection, "%jobs%", 3)
            later = [asyncio.create_task(ledger.get(NAME)) for _ in range(3)]
            await asyncio.sleep(0)
            for task in (reads[0], later[0], listed[0]):
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        jobs = await asyncio.gather(*reads[1:], *later[1:])
        assert [job.name for job in jobs] == [NAME] * 4
        assert [job.name for job in await listed[1]] == [NAME]
        await assert_all_given_back(ledger)


async def test_a_broken_connection_is_made_again_for_reads(dsn: str, ledger_name: str) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        await ledger.create(NAME)
        await ledger.get(NAME)
        async with await ledger.connection() as connection:
            ended = await number(
                connection,
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname ="
                " current_database() AND pid <> pg_backend_pid() AND query LIKE %s",
                "%jobs%",
            )
        assert ended
        assert (await ledger.get(NAME)).version == 1
        assert (await ledger.get(NAME)).version == 1


async def fill(ledger: AsyncLedger, count: int) -> None:
    await asyncio.gather(*(ledger.create(name_of(n)) for n in range(count)))


@pytest.mark.slow
async def test_a_scan_is_read_in_parts_and_shows_one_moment(dsn: str, ledger_name: str) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        await fill(ledger, CHUNK + 200)
        seen: list[str] = []
        async for job in ledger.scan():
            if not seen:
                await ledger.create(NAME)
            seen.append(job.name)
        assert len(seen) == len(set(seen)) == CHUNK + 200
        assert NAME not in seen
        assert [job.name async for job in ledger.scan(limit=1)] == [NAME]
        await assert_all_given_back(ledger)


@pytest.mark.slow
async def test_a_scan_that_is_broken_off_gives_its_connection_back(
    dsn: str, ledger_name: str, loop_factory: Factory
) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        await fill(ledger, 20)
        async for _ in ledger.scan():
            break
        await assert_all_given_back(ledger)
        async with aclosing(ledger.scan()) as jobs:
            assert (await anext(jobs)).version == 1
        await assert_all_given_back(ledger)
        with pytest.raises(ZeroDivisionError):
            async for _ in ledger.scan():
                raise ZeroDivisionError
        await assert_all_given_back(ledger)


@pytest.mark.slow
async def test_a_scan_whose_task_is_cancelled_gives_its_connection_back(
    dsn: str, ledger_name: str, loop_factory: Factory
) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        await fill(ledger, 20)

        async def scan() -> int:
            return len([job async for job in ledger.scan()])

        async with locked(ledger, LOCK_JOBS) as connection:
            # A thread reads it, and goes on to when its task is cancelled.
            task = asyncio.create_task(scan())
            await blocked(connection, "%jobs%")
            task.cancel()
            await asyncio.sleep(0.1)
        with pytest.raises(asyncio.CancelledError):
            await task
        await assert_all_given_back(ledger)
        assert await scan() == 20


@pytest.mark.slow
async def test_a_scan_ends_with_the_ledger(dsn: str, ledger_name: str) -> None:
    application = f"scans_{ledger_name}"
    async with await AsyncLedger.open(
        make_conninfo(dsn, application_name=application), ledger_name
    ) as ledger:
        await fill(ledger, CHUNK + 1)
        jobs = ledger.scan()
        await anext(jobs)
    with pytest.raises(LedgerUnavailableError, match="closed"):
        [job async for job in jobs]
    await connections(dsn, application, 0)


@pytest.mark.slow
async def test_a_feed_shows_what_is_written_and_ends_with_the_ledger(
    dsn: str, ledger_name: str, loop_factory: Factory
) -> None:
    seen: list[int] = []

    async def follow(ledger: AsyncLedger) -> None:
        seen.extend([event.position async for event in ledger.events()])

    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        following = asyncio.create_task(follow(ledger))
        await fill(ledger, CHUNK + 50)
        await ledger.create(NAME)
        shown = [event async for event in ledger.events(after=CHUNK + 49, follow=False)]
        assert [event.name for event in shown][1:] == [NAME]
        feed = ledger.events(after=CHUNK + 50)
        assert (await anext(feed)).name == NAME
        await feed.aclose()
        await asyncio.sleep(0.2)
    await following
    assert seen == list(range(1, CHUNK + 52))


async def test_a_feed_that_is_given_up_leaves_nothing(dsn: str, ledger_name: str) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                async for _ in ledger.events():
                    pass
        await assert_all_given_back(ledger)


@pytest.mark.slow
async def test_closing_ends_all_connections(
    dsn: str, ledger_name: str, loop_factory: Factory
) -> None:
    application = f"closes_{ledger_name}"
    named = make_conninfo(dsn, application_name=application)
    async with await AsyncLedger.open(named, ledger_name) as ledger:
        await asyncio.gather(*(ledger.create(name_of(n)) for n in range(10)))
        await asyncio.gather(*(ledger.get(name_of(n)) for n in range(10)), ledger.list())
    await connections(dsn, application, 0)


async def test_opening_that_is_given_up_leaves_no_connection(dsn: str, ledger_name: str) -> None:
    application = f"opens_{ledger_name}"
    named = make_conninfo(dsn, application_name=application)
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        async with locked(ledger, "LOCK TABLE migrations IN ACCESS EXCLUSIVE MODE"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await AsyncLedger.open(named, ledger_name)
            await connections(dsn, application, 1)
        await connections(dsn, application, 0)
