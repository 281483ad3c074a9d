"""Writes of asyncio's tasks: they share commits, and each is settled even if its task is cancelled."""

import asyncio
from collections.abc import Awaitable

import pytest
from jobledger import (
    AsyncLedger,
    Job,
    JobExistsError,
    LedgerError,
    LedgerUnavailableError,
    RecordedEvent,
    ReportedEvent,
)
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.events import ProgressReported, Started
from jobledger.infra.eventstore.commit.async_committer import AsyncCommitter
from jobledger.infra.eventstore.commit.batch import MAX_BATCH_WRITES, Batch
from jobledger.infra.upkeep.verify import verify

from tests.loops import Factory
from tests.tasks import END_BLOCKED, blocked, commits, number, until, writers_wait

NAME = "projects/p/jobs/one"
PERSONAL = {"@personal": {"subject": "user:alice", "value": "Alice"}}


def name_of(number: int) -> str:
    return f"projects/p/jobs/j{number}"


async def assert_sound(ledger: AsyncLedger, events: int) -> None:
    with ledger.ledger.connection() as connection:
        verdict = verify(connection)
    assert verdict.findings == []
    assert verdict.events == events


async def all_events(ledger: AsyncLedger) -> list[RecordedEvent]:
    return [event async for event in ledger.events(follow=False)]


@pytest.mark.slow
async def test_tasks_that_wait_together_share_a_commit(
    dsn: str, ledger_name: str, loop_factory: Factory
) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        made = await asyncio.gather(*(ledger.create(name_of(n)) for n in range(64)))
        assert await commits(ledger) == [64]
        async with writers_wait(ledger) as connection:
            first = asyncio.create_task(ledger.started(name_of(0)))
            await blocked(connection)
            others = [asyncio.create_task(ledger.started(name_of(n))) for n in range(1, 64)]
            await asyncio.sleep(0)
        started = await asyncio.gather(first, *others)
        assert await commits(ledger) == [64, 1, 63]
        assert [job.name for job in made] == [job.name for job in started]
        assert {job.version for job in started} == {2}
        await assert_sound(ledger, 128)


@pytest.mark.slow
async def test_a_commit_takes_at_most_a_batch(dsn: str, ledger_name: str) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        count = 2 * MAX_BATCH_WRITES + 100
        jobs = await asyncio.gather(*(ledger.create(name_of(n)) for n in range(count)))
        assert [job.name for job in jobs] == [name_of(n) for n in range(count)]
        assert await commits(ledger) == [MAX_BATCH_WRITES, MAX_BATCH_WRITES, 100]
        await assert_sound(ledger, count)


@pytest.mark.slow
async def test_a_batch_decided_ahead_is_settled_as_any_other(
    dsn: str, ledger_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks write all kinds of things at once: on jobs of their own and shared, refused and repeated."""
    ahead: list[int] = []
    decide_ahead = AsyncCommitter._decide_ahead

    def noted(committer: AsyncCommitter, sent: Batch) -> None:
        decide_ahead(committer, sent)
        ahead.append(len(committer._next))

    monkeypatch.setattr(AsyncCommitter, "_decide_ahead", noted)
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        await ledger.create(NAME)

        async def work(task: int) -> None:
            for n in range(10):
                name = name_of(100 * task + n)
                assert (await ledger.create(name)).version == 1
                with pytest.raises(JobExistsError):
                    await ledger.create(name)
                assert (await ledger.started(name, {"owner": PERSONAL})).version == 2
                await ledger.progress_reported(NAME, {"task": task})
                ended = [await ledger.succeeded(name, request_id=name) for _ in range(2)]
                assert [job.version for job in ended] == [3, 3]

        await asyncio.gather(*map(work, range(30)))
        assert sum(ahead) > 50
        assert (await ledger.get(NAME)).version == 301
        await assert_sound(ledger, 301 + 30 * 10 * 3)


@pytest.mark.plain_server
async def test_many_reports_of_one_task_are_written_once(
    dsn: str, ledger_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take several commits, and the next batch waits behind the first."""
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        await asyncio.gather(*(ledger.create(name_of(n)) for n in range(4)))
        async with writers_wait(ledger) as connection:
            first = asyncio.create_task(ledger.started(name_of(0)))
            await blocked(connection)
            reports = [
                ReportedEvent(name_of(1 + n % 3), ProgressReported(output={"n": n}))
                for n in range(MAX_BATCH_WRITES + 10)
            ]
            many = asyncio.create_task(ledger.report_many(reports))
            await asyncio.sleep(0)
        await first
        assert len(await many) == len(reports)
        await assert_sound(ledger, 5 + len(reports))


@pytest.mark.slow
async def test_a_thousand_reports_at_once_are_answered_each(dsn: str, ledger_name: str) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        await ledger.create(NAME)
        reports = [
            ReportedEvent(NAME if n % 10 else name_of(n), ProgressReported(output={"n": n}))
            for n in range(1_000)
        ]
        outcomes = await ledger.report_many(reports)
        assert len(outcomes) == 1_000
        for n, outcome in enumerate(outcomes):
            if n % 10 == 0:
                assert isinstance(outcome, JobNotFoundError)
            else:
                assert not isinstance(outcome, LedgerError)
                assert outcome.events[0].json == {"output": {"n": n}}
        assert len(await commits(ledger)) == 3
        await assert_sound(ledger, 901)


async def test_no_reports_are_answered_too(dsn: str, ledger_name: str) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        assert await ledger.report_many([]) == []


@pytest.mark.slow
async def test_the_write_of_a_task_that_gave_up_is_settled_and_its_neighbours_are_answered(
    dsn: str, ledger_name: str, loop_factory: Factory
) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        async with writers_wait(ledger) as connection:

            async def give_up(number: int) -> None:
                async with asyncio.timeout(0.3):
                    await ledger.create(name_of(number), request_id=f"r{number}")

            # The first was sent to the server, the second waits for the next commit.
            first = asyncio.create_task(give_up(1))
            await blocked(connection)
            second = asyncio.create_task(give_up(2))
            neighbour = asyncio.create_task(ledger.create(name_of(3)))
            for gave_up in (first, second):
                with pytest.raises(TimeoutError):
                    await gave_up
            assert not neighbour.done()
        assert (await neighbour).version == 1
        assert [(await ledger.get(name_of(n))).version for n in (1, 2, 3)] == [1, 1, 1]
        # Asked again, it is answered with what was written.
        assert (await ledger.create(name_of(1), request_id="r1")).version == 1
        with pytest.raises(JobExistsError):
            await ledger.create(name_of(2), request_id="other")
        await assert_sound(ledger, 3)


@pytest.mark.slow
async def test_projections_follow_though_the_writer_gave_up(dsn: str, ledger_name: str) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        async with writers_wait(ledger) as connection:
            task = asyncio.create_task(ledger.create(NAME))
            await blocked(connection)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with await ledger.connection() as connection:

            async def is_followed() -> bool:
                # The blocks of a search are made of thousands of events at once.
                followed = "SELECT min(position) FROM projections WHERE name <> 'search'"
                return await number(connection, followed) == 1

            await until(is_followed, "the event is folded into all projections")


async def test_an_invalid_argument_is_raised_when_the_call_is_awaited(
    dsn: str, ledger_name: str
) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        calls: list[Awaitable[Job]] = [
            ledger.create(NAME),
            ledger.create(name_of(1), {"Bad Key": "x"}),
            ledger.change_config(NAME, {"x": object()}),
            ledger.create("nonsense"),
        ]
        made, *wrong = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(made, Job)
        assert [type(error) for error in wrong] == [InvalidFieldError] * 3


@pytest.mark.slow
@pytest.mark.parametrize("when", ["waiting for the lock", "idle"])
async def test_a_connection_that_breaks_is_settled_without_writing_twice(
    dsn: str, ledger_name: str, when: str
) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        await ledger.create(NAME)
        tasks = []
        if when == "idle":
            async with await ledger.connection() as connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
                    " current_database() AND query LIKE '%append(%' AND pid <> pg_backend_pid()"
                )
        async with writers_wait(ledger) as connection:
            tasks = [
                asyncio.create_task(ledger.progress_reported(NAME, {"n": n})) for n in range(20)
            ]
            await blocked(connection, "%")
            if when != "idle":
                await connection.execute(END_BLOCKED, ("%append(%",))
                await blocked(connection, "%")
        versions = [job.version for job in await asyncio.gather(*tasks)]
        assert versions == list(range(2, 22))
        events = await ledger.history(NAME, 1)
        assert [event.json["output"]["n"] for event in events] == list(range(20))
        # The write of the locked path is in the cache, too.
        assert (await ledger.started(NAME)).version == 22
        await assert_sound(ledger, 22)


@pytest.mark.plain_server
async def test_closing_answers_waiting_callers_and_refuses_later_ones(
    dsn: str, ledger_name: str
) -> None:
    ledger = await AsyncLedger.open(dsn, ledger_name)
    async with writers_wait(ledger) as connection:
        on_its_way = asyncio.create_task(ledger.create(name_of(1)))
        await blocked(connection)
        waiting = asyncio.create_task(ledger.create(name_of(2)))
        await asyncio.sleep(0)
        closing = asyncio.create_task(ledger.close())
        await asyncio.sleep(0)
        late = asyncio.create_task(ledger.create(name_of(3)))
        with pytest.raises(LedgerUnavailableError, match="closed") as caught:
            await late
        assert caught.value.written is False
        assert not closing.done()
    await closing
    assert [(await task).version for task in (on_its_way, waiting)] == [1, 1]
    for after in (ledger.create(name_of(4)), ledger.get(NAME), ledger.list()):
        with pytest.raises(LedgerUnavailableError, match="closed"):
            await after
    await ledger.close()
    async with await AsyncLedger.open(dsn, ledger_name) as again:
        assert [event.name for event in await all_events(again)] == [name_of(1), name_of(2)]


@pytest.mark.plain_server
async def test_a_cancelled_close_interrupts_no_commit(dsn: str, ledger_name: str) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        async with writers_wait(ledger) as connection:
            write = asyncio.create_task(ledger.create(NAME))
            await blocked(connection)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await ledger.close()
        assert (await write).version == 1


@pytest.mark.plain_server
async def test_encrypting_a_personal_value_does_not_block_other_tasks(
    dsn: str, ledger_name: str
) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        async with await ledger.connection() as connection, connection.transaction():
            await connection.execute("LOCK TABLE subject_keys IN ACCESS EXCLUSIVE MODE")
            personal = asyncio.create_task(ledger.create(NAME, spec={"who": PERSONAL}))
            await blocked(connection, "%find_subject_key(%")
            assert (await ledger.create(name_of(1))).version == 1
            assert not personal.done()
        job = await personal
        assert "Alice" not in str(job.spec)
        assert (await ledger.decrypted(job)).spec == {"who": "Alice"}
        outcomes = await ledger.report_many(
            [ReportedEvent(NAME, Started.model_validate({"by": PERSONAL}))] * 2
        )
        stored = b"".join([event.stored for event in await all_events(ledger)])
        assert len(outcomes) == 2
        assert b"Alice" not in stored
        assert stored.count(b"@personal") == 3


@pytest.mark.slow
async def test_tasks_of_one_job_take_turns(
    dsn: str, ledger_name: str, loop_factory: Factory
) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        await ledger.create(NAME)

        async def report(task: int) -> list[int]:
            return [
                (await ledger.progress_reported(NAME, {"task": task, "n": n})).version
                for n in range(50)
            ]

        first, second = await asyncio.gather(report(1), report(2))
        assert sorted(first + second) == list(range(2, 102))
        assert first == sorted(first)
        for task in (1, 2):
            entries = [event.json["output"] for event in await ledger.history(NAME, 1)]
            assert [each["n"] for each in entries if each["task"] == task] == list(range(50))
        await assert_sound(ledger, 101)


async def test_a_write_of_a_thread_of_the_same_process_is_noticed(
    dsn: str, ledger_name: str
) -> None:
    """The threads' committer has a cache of its own: each may be out of date."""
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        await ledger.create(NAME)
        await asyncio.to_thread(ledger.ledger.started, NAME)
        assert (await ledger.progress_reported(NAME)).version == 3
        await asyncio.to_thread(ledger.ledger.succeeded, NAME)
        await ledger.retry(NAME)
        assert (await ledger.get(NAME)).attempt == 2
        await assert_sound(ledger, 5)
