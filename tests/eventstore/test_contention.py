"""Several processes that write to the same jobs: no write is lost, doubled or decided on an old state."""

import multiprocessing
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import sleep

import pytest
from jobledger import LedgerError
from jobledger.infra import Ledger
from jobledger.infra.eventstore.commit.gathering import Gathering
from jobledger.infra.eventstore.stored_event import Placed
from jobledger.infra.upkeep.verify import verify

NAMES = [f"projects/p/jobs/shared{n}" for n in range(4)]
PROCESSES, THREADS, ROUNDS = 3, 6, 15


def write(dsn: str, ledger_name: str, process: int) -> None:
    """Reports progress of shared jobs and creates jobs, in several threads."""

    def one(thread: int) -> None:
        for n in range(ROUNDS):
            mine = f"{process}-{thread}-{n}"
            ledger.progress_reported(NAMES[n % len(NAMES)], {mine: 1}, request_id=mine)
            ledger.create(f"projects/p/jobs/own-{mine}")

    with Ledger.open(dsn, ledger_name) as ledger, ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(one, range(THREADS)))


@pytest.mark.slow
def test_processes_that_share_jobs_write_each_report_once(ledger: Ledger, dsn: str) -> None:
    for name in NAMES:
        ledger.create(name)
        ledger.started(name)
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(target=write, args=(dsn, ledger.name, process))
        for process in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    written = Counter(event.request_id for name in NAMES for event in ledger.history(name)[2:])
    assert len(written) == PROCESSES * THREADS * ROUNDS
    assert set(written.values()) == {1}
    assert ledger.size() == 2 * len(NAMES) + 2 * PROCESSES * THREADS * ROUNDS
    with ledger.connection() as connection:
        assert verify(connection).findings == []


@pytest.mark.both_forms
def test_a_batch_on_a_job_that_another_wrote_to_settles_each_write_by_itself(
    ledger: Ledger, dsn: str
) -> None:
    shared, fresh = NAMES[0], NAMES[1]
    ledger.create(shared)
    with Ledger.open(dsn, ledger.name) as other:
        other.started(shared)
        with ThreadPoolExecutor(4) as threads, other.connection() as connection:
            with connection.transaction():
                connection.execute("SELECT FROM head FOR UPDATE")
                answers = [
                    threads.submit(ledger.succeeded, shared),
                    threads.submit(ledger.create, shared),
                    threads.submit(ledger.create, fresh),
                    threads.submit(ledger.cancel, "projects/p/jobs/none"),
                ]
            outcomes = [answer.exception() for answer in answers]
    assert [isinstance(error, LedgerError) for error in outcomes] == [False, True, False, True]
    assert [event.type for event in ledger.history(shared)] == ["Created", "Started", "Succeeded"]
    assert ledger.get(fresh).version == 1


def placed(position: int) -> Placed:
    return Placed(position, datetime(2026, 1, 1, tzinfo=UTC))


def test_a_batch_waits_for_the_callers_of_the_last_one_while_another_process_writes() -> None:
    gathering = Gathering()
    gathering.note(placed(1), 3)
    gathering.expect(3)
    gathering.note(placed(4), 3)
    assert not gathering.waits, "positions follow each other, so nobody else writes"
    gathering.note(placed(8), 3)
    assert gathering.waits, "another process wrote at position 7"
    arriving = iter([1, 2, 3])
    assert len(list(gathering.pauses(lambda: next(arriving)))) <= 2
    gathering.expect(1)
    assert not gathering.waits, "a single caller has nobody to wait for"


def test_a_batch_stops_waiting_for_callers_that_do_not_come() -> None:
    gathering = Gathering()
    gathering.note(placed(1), 1)
    gathering.note(placed(3), 1)
    gathering.expect(8)
    for seconds in gathering.pauses(lambda: 1):
        sleep(seconds)


def test_a_job_of_a_contended_batch_that_is_out_of_date_is_read_again(
    ledger: Ledger, dsn: str
) -> None:
    """A batch reads its contended jobs under the lock, and trusts what it knows of the others."""
    contended, stale = NAMES[0], NAMES[1]
    for name in (contended, stale):
        ledger.create(name)
    with Ledger.open(dsn, ledger.name) as other:
        other.started(contended)
        ledger.progress_reported(contended, {"step": 1})
        other.started(stale)
        with ThreadPoolExecutor(2) as threads, other.connection() as connection:
            with connection.transaction():
                connection.execute("SELECT FROM head FOR UPDATE")
                answers = [
                    threads.submit(ledger.progress_reported, contended, {"step": 2}),
                    threads.submit(ledger.succeeded, stale),
                ]
            for answer in answers:
                answer.result()
    assert [event.type for event in ledger.history(stale)] == ["Created", "Started", "Succeeded"]
    assert ledger.get(contended).version == 4
