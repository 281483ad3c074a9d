"""Each caller gets the outcome of its own write, whatever happened to its batch."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

import psycopg
import pytest
from jobledger.domain.errors import IllegalTransitionError, JobExistsError, LedgerError
from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.eventstore.commit.appender import LOCK_HEAD
from jobledger.infra.upkeep.verify import verify

from tests.forms import Opener

pytestmark = pytest.mark.both_forms

NAME = "projects/p/jobs/one"


@pytest.mark.slow
def test_a_refusal_in_a_failed_batch_is_decided_again(
    ledger: Ledger, dsn: str, ledger_name: str, open_ledger: Opener
) -> None:
    """A refusal holds only if the jobs were as the batch took them to be."""
    with open_ledger(dsn, ledger_name) as other, ledger.connection() as blocking:
        ledger.create("projects/p/jobs/first")
        other.create(NAME)
        other.failed(NAME)
        # Both wait behind a commit, so that one batch has them: the job is new to this process,
        # so that its creation is granted and its deletion, while QUEUED, is not.
        with ThreadPoolExecutor(3) as threads, blocking.transaction():
            blocking.execute(LOCK_HEAD)
            held = threads.submit(ledger.started, "projects/p/jobs/first")
            wait_until_blocked(blocking, 1)
            created = threads.submit(ledger.create, NAME)
            threading.Event().wait(0.3)
            deleted = threads.submit(ledger.delete, NAME)
            threading.Event().wait(0.3)
            blocking.execute("COMMIT; BEGIN")
            held.result()
            assert isinstance(created.exception(), JobExistsError)
            deleted.result()
    assert [event.type for event in ledger.history(NAME)] == ["Created", "Failed", "Deleted"]


def wait_until_blocked(connection: psycopg.Connection[tuple[object, ...]], callers: int) -> None:
    """Waits until so many backends wait for a lock."""
    for _ in range(500):
        # A transaction would go on to see what it saw first.
        connection.execute("SELECT pg_stat_clear_snapshot()")
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchone()
        if row is not None and row[0] == callers:
            return
        threading.Event().wait(0.02)
    raise AssertionError("nobody waits for the lock")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_answered_writes_are_stored_and_refused_ones_are_not(
    ledger: Ledger, dsn: str, ledger_name: str, open_ledger: Opener, seed: int
) -> None:
    """Two processes ask for anything of four jobs, while connections break."""
    stop = threading.Event()

    def break_connections() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not stop.wait(0.05):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND query LIKE '%append(%'"
                    " AND datname = current_database()"
                )

    answers: dict[str, Job | LedgerError] = {}
    with open_ledger(dsn, ledger_name) as other:

        def ask(number: int) -> None:
            random = Random(seed * 10_000 + number)
            ask = random_call(random.choice((ledger, other)), random)
            actor = f"caller {number}"
            try:
                answers[actor] = ask(f"projects/p/jobs/j{random.randrange(4)}", actor=actor)
            except LedgerError as error:
                answers[actor] = error

        breaker = threading.Thread(target=break_connections)
        breaker.start()
        with ThreadPoolExecutor(24) as threads:
            list(threads.map(ask, range(400)))
        stop.set()
        breaker.join()

    written: dict[str, int] = {}
    for event in ledger.events(follow=False):
        written[event.actor or ""] = event.version
    for actor, answer in answers.items():
        if isinstance(answer, LedgerError):
            assert actor not in written, (actor, answer)
        else:
            assert written.get(actor, answer.version) == answer.version
    assert len(answers) == 400
    assert written.keys() <= answers.keys()
    with ledger.connection() as connection:
        assert verify(connection).findings == []


def random_call(ledger: Ledger, random: Random) -> Callable[..., Job]:
    calls: list[Callable[..., Job]] = [
        ledger.create, ledger.create, ledger.started, ledger.failed, ledger.cancel, ledger.pause,
        ledger.resume, ledger.retry, ledger.delete, ledger.succeeded,
    ]  # fmt: skip
    return random.choice(calls)


def test_a_refusal_names_the_state_of_the_job(ledger: Ledger) -> None:
    ledger.create(NAME)
    ledger.succeeded(NAME)
    with pytest.raises(IllegalTransitionError) as caught:
        ledger.pause(NAME)
    assert caught.value.state == JobState.SUCCEEDED.name


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(3))
def test_threads_that_write_while_it_is_closed_are_answered_or_refused(
    dsn: str, ledger_name: str, attempt: int
) -> None:
    ledger = Ledger.open(dsn, ledger_name)
    acknowledged: list[str] = []

    def write(number: int) -> None:
        for n in range(100_000):
            name = f"projects/p/jobs/j{number}-{n}"
            try:
                ledger.create(name)
            except LedgerUnavailableError as refused:
                assert "closed" in refused.reason
                assert refused.written is False
                return
            acknowledged.append(name)
        raise AssertionError("it was never closed")

    with ThreadPoolExecutor(16) as threads:
        writers = [threads.submit(write, number) for number in range(16)]
        while len(acknowledged) < 50:
            threading.Event().wait(0.01)
        ledger.close()
        for writer in writers:
            writer.result(30)
    with pytest.raises(LedgerUnavailableError, match="closed"):
        ledger.started(acknowledged[0])
    ledger.close()
    with Ledger.open(dsn, ledger_name) as again:
        assert sorted(event.name for event in again.events(follow=False)) == sorted(acknowledged)
