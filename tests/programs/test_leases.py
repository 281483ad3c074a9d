"""Heartbeats: rows that are extended, jobs lost without them, and late ends that replace the loss."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from jobledger import AsyncLedger
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import JobState as S
from jobledger.infra import Ledger
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.evaluation.runs.scheduler import Scheduler
from jobledger.infra.programs.leases import end_lease, expire_lost, keep_lease, keep_lease_of
from jobledger.infra.programs.run_store import destination_of
from jobledger.infra.programs.sending import Sender
from jobledger.infra.programs.spool import Spool
from jobledger.infra.serving.lost_runs import expiring_lost
from jobledger.infra.upkeep.verify import verify

from tests.ledgers import application_of
from tests.proxies import Proxy, proxy_to

NAME = "projects/p/jobs/j"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
Read = Callable[[], Any]


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    monkeypatch.setenv("JOBLEDGER_SPOOL", str(tmp_path / "spool"))
    return Spool(tmp_path / "spool")


def leases(ledger: Ledger) -> list[tuple[str, str, datetime]]:
    with ledger.connection() as connection:
        return connection.execute("SELECT job, run_id, heartbeat_time FROM leases").fetchall()


def heard(ledger: Ledger) -> dict[str, datetime]:
    return {job: at for job, _, at in leases(ledger)}


def run_out(ledger: Ledger) -> None:
    """All leases end now."""
    with ledger.connection() as connection:
        connection.execute("UPDATE leases SET expire_time = heartbeat_time")


def begin(ledger: Ledger, run_id: str = "r") -> None:
    with ledger.connection() as connection:
        keep_lease(connection, NAME, run_id, 15)
    ledger.create(NAME)
    ledger.started(NAME, run_id=run_id)


def test_a_heartbeat_is_a_row_and_no_event(ledger: Ledger) -> None:
    begin(ledger)
    size, [(job, run_id, first)] = ledger.size(), leases(ledger)
    with ledger.connection() as connection:
        keep_lease(connection, NAME, "r", 15)
        row = connection.execute("SELECT expire_time - heartbeat_time FROM leases").fetchone()
    assert row is not None
    assert row[0].total_seconds() == 60
    assert (job, run_id, ledger.size()) == (NAME, "r", size)
    assert leases(ledger)[0][2] > first
    assert expire_lost(ledger, "t") == 0


def test_a_run_without_heartbeats_is_lost_once(ledger: Ledger) -> None:
    begin(ledger)
    [(_, _, last)] = leases(ledger)
    run_out(ledger)
    assert expire_lost(ledger, "scheduler") == 1
    assert leases(ledger) == []
    job = ledger.get(NAME)
    assert job.state is S.EXPIRED
    assert job.end_time == max(last, job.start_time or last)
    assert (job.error_message or "").startswith("no heartbeat since 20")
    assert ledger.history(NAME)[-1].actor == "scheduler"
    assert expire_lost(ledger, "scheduler") == 0


def test_a_run_that_is_heard_of_while_others_are_reported_is_not_lost(ledger: Ledger) -> None:
    begin(ledger)
    other = f"{NAME}2"
    ledger.create(other)
    ledger.started(other, run_id="r")
    keep_lease_of(ledger, other, "r", 15)
    run_out(ledger)
    with ThreadPoolExecutor(1) as pool, ledger.connection() as connection:
        with connection.transaction():
            connection.execute("SELECT lock_head()")
            expiring = pool.submit(expire_lost, ledger, "t")
            while connection.execute(WAITING).fetchone() == (0,):
                assert not expiring.done()
            keep_lease_of(ledger, other, "r", 15)
        assert expiring.result() == 1
    assert [ledger.get(name).state for name in (NAME, other)] == [S.EXPIRED, S.RUNNING]
    assert list(heard(ledger)) == [other]


def test_the_time_that_the_server_was_down_is_no_silence(ledger: Ledger) -> None:
    begin(ledger)
    with ledger.connection() as connection:
        connection.execute(
            "UPDATE leases SET heartbeat_time = pg_postmaster_start_time() - interval '1 hour',"
            " expire_time = pg_postmaster_start_time() - interval '1 hour' + interval '50 minutes'"
        )
    assert expire_lost(ledger, "t") == 0
    run_out(ledger)
    assert expire_lost(ledger, "t") == 1


@pytest.mark.slow
@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled", "partially_succeeded"])
@pytest.mark.both_forms
def test_a_late_end_replaces_the_loss(ledger: Ledger, end: str) -> None:
    begin(ledger)
    run_out(ledger)
    expire_lost(ledger, "t")
    job = getattr(ledger, end)(NAME, run_id="r")
    assert (job.state.name.lower(), job.attempt) == (end, 1)
    assert ledger.get(NAME).end_time == ledger.history(NAME)[-1].occurred_time
    with ledger.connection() as connection:
        assert verify(connection).ok
    # It was seen now, and a second end contradicts it.
    ledger.failed(NAME, "x", run_id="r")
    assert ledger.history(NAME)[-1].type == "Contradicted"


def test_a_job_that_really_expired_stays_so(ledger: Ledger) -> None:
    begin(ledger)
    ledger.expired(NAME, "too late")
    ledger.succeeded(NAME, run_id="r")
    assert ledger.get(NAME).state is S.EXPIRED


@pytest.mark.slow
@pytest.mark.parametrize("what", ["ended", "retried", "deleted", "unknown"])
def test_a_lease_of_a_run_that_is_over_just_ends(ledger: Ledger, what: str) -> None:
    if what == "unknown":
        with ledger.connection() as connection:
            keep_lease(connection, NAME, "r", 15)
    else:
        begin(ledger)
    if what == "retried":
        ledger.started(NAME, run_id="s")
    elif what != "unknown":
        ledger.succeeded(NAME)
    if what == "deleted":
        ledger.delete(NAME)
    size = ledger.size()
    run_out(ledger)
    assert expire_lost(ledger, "t") == 0
    assert (ledger.size(), leases(ledger)) == (size, [])


def test_a_job_that_is_being_cancelled_is_cancelled(ledger: Ledger) -> None:
    begin(ledger)
    ledger.cancel(NAME)
    run_out(ledger)
    assert expire_lost(ledger, "t") == 1
    assert ledger.get(NAME).state is S.CANCELLED


def test_a_concurrent_heartbeat_keeps_the_lease(ledger: Ledger) -> None:
    begin(ledger)
    [(_, _, last)] = leases(ledger)
    with ledger.connection() as connection:
        keep_lease(connection, NAME, "r", 15)
        end_lease(connection, NAME, "r", last)
        assert len(leases(ledger)) == 1
        end_lease(connection, NAME, "r")
    assert leases(ledger) == []


@pytest.mark.slow
def test_a_granted_role_keeps_and_ends_leases_and_expires_jobs(ledger: Ledger, dsn: str) -> None:
    with application_of(dsn, ledger) as application:
        with application.run(NAME, heartbeat_seconds=60):
            assert [lease[0] for lease in leases(ledger)] == [NAME]
        assert leases(ledger) == []
        with application.connection() as connection:
            keep_lease(connection, NAME, "s", 15)
        application.started(NAME, run_id="s")
        run_out(ledger)
        assert expire_lost(application, "t") == 1


def test_a_scheduler_expires_what_is_lost(ledger: Ledger) -> None:
    begin(ledger)
    run_out(ledger)
    Scheduler(ledger).do_due()
    assert ledger.get(NAME).state is S.EXPIRED


async def test_a_server_expires_what_is_lost(dsn: str, ledger_name: str) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        async with expiring_lost(ledger, pause_seconds=0.01):
            await ledger.run(partial(begin, ledger.ledger))
            await ledger.run(partial(run_out, ledger.ledger))
            events = ledger.events()
            while (await anext(events)).type != "Expired":
                pass
            await events.aclose()
        assert (await ledger.history(NAME))[-1].actor == "serve"


def test_a_block_is_a_job_while_it_runs(ledger: Ledger) -> None:
    with ledger.run(NAME, {"team": "a"}, {"rows": 5}) as run:
        job = ledger.get(NAME)
        assert (job.state, job.labels, job.spec) == (S.RUNNING, {"team": "a"}, {"rows": 5})
        assert job.run_ids == (run.run_id,)
        assert [lease[1] for lease in leases(ledger)] == [run.run_id]
        run.output = {"rows": 7}
    job = ledger.get(NAME)
    assert (job.state, job.output, leases(ledger)) == (S.SUCCEEDED, {"rows": 7}, [])
    with pytest.raises(ZeroDivisionError), ledger.run(NAME):
        1 / 0  # noqa: B018
    job = ledger.get(NAME)
    assert (job.state, job.attempt) == (S.FAILED, 2)
    assert job.error_message == "ZeroDivisionError: division by zero"


async def test_a_block_of_a_task_is_a_job_while_it_runs(dsn: str, ledger_name: str) -> None:
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        async with ledger.run(NAME) as run:
            assert (await ledger.get(NAME)).state is S.RUNNING
            run.output = {"rows": 7}
        assert (await ledger.get(NAME)).output == {"rows": 7}

        inside = asyncio.Event()

        async def long() -> None:
            async with ledger.run(NAME):
                inside.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(long())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        job = await ledger.get(NAME)
        assert (job.state, job.error_message) == (S.CANCELLED, "stopped by CancelledError")


def test_heartbeats_go_on_while_a_block_runs(ledger: Ledger) -> None:
    with ledger.run(NAME, heartbeat_seconds=0.05), ledger.run(f"{NAME}2", heartbeat_seconds=60):
        first = heard(ledger)
        deadline = time.monotonic() + 60
        while heard(ledger)[NAME] == first[NAME]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert heard(ledger)[f"{NAME}2"] == first[f"{NAME}2"]


@pytest.mark.parametrize("seconds", [-1, 3601, float("nan")])
def test_the_time_between_heartbeats_has_limits(ledger: Ledger, seconds: float) -> None:
    with pytest.raises(InvalidFieldError, match="heartbeat_seconds"):
        ledger.run(NAME, heartbeat_seconds=seconds)


@pytest.fixture
def proxy(dsn: str) -> Iterator[Proxy]:
    with proxy_to(dsn) as made:
        yield made


def test_an_end_that_cannot_be_recorded_is_spooled(
    ledger: Ledger, proxy: Proxy, spool: Spool
) -> None:
    with Ledger.open(proxy.dsn, ledger.name, catch_up=False) as away:
        away.writer.committer._reconnect_timeout = 0.0
        with away.run(NAME) as run:
            run.output = {"rows": 7}
            proxy.cut()
    assert ledger.get(NAME).state is S.RUNNING
    assert Sender(ledger, spool, destination_of(proxy.dsn, ledger.name), "p").send().sent == [NAME]
    assert ledger.get(NAME).output == {"rows": 7}
    assert [e.type for e in ledger.history(NAME)] == ["Created", "Started", "Succeeded"]
    assert leases(ledger) == []


def test_a_block_does_not_begin_without_its_ledger(ledger: Ledger, proxy: Proxy) -> None:
    with Ledger.open(proxy.dsn, ledger.name, catch_up=False) as away:
        proxy.cut()
        away.writer.committer._reconnect_timeout = 0.0
        with pytest.raises(LedgerUnavailableError), away.run(NAME, heartbeat_seconds=0):
            raise AssertionError
