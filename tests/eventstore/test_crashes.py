"""A server that fails: acknowledged writes are stored once, and callers learn the outcome of theirs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from jobledger.domain.job import Job
from jobledger.infra import Ledger
from jobledger.infra.errors import LedgerUnavailableError, StorageFullError
from jobledger.infra.eventstore.commit import appender, async_appender
from jobledger.infra.eventstore.commit.appender import LOCK_HEAD
from jobledger.infra.postgres.connections import connect
from jobledger.infra.upkeep.verify import verify
from psycopg.abc import PQGen
from psycopg.generators import execute
from psycopg.pq.abc import PGconn, PGresult

from tests.databases import is_waiting
from tests.forms import Opener
from tests.interrupts import interrupted_when

pytestmark = pytest.mark.usefixtures("signing_in_background")

NAME = "projects/p/jobs/one"


def terminate_others(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%append(%'"
        )


@pytest.mark.slow
@pytest.mark.both_forms
def test_connections_that_break_are_made_again_and_nothing_is_written_twice(
    ledger: Ledger, dsn: str
) -> None:
    stop = threading.Event()

    def break_connections() -> None:
        while not stop.wait(0.02):
            terminate_others(dsn)

    breaker = threading.Thread(target=break_connections)
    breaker.start()
    ledger.create(NAME)
    with ThreadPoolExecutor(8) as pool:
        versions = list(
            pool.map(lambda n: ledger.progress_reported(NAME, {"n": n}).version, range(400))
        )
    stop.set()
    breaker.join()

    assert sorted(versions) == list(range(2, 402))
    numbers = [e.json["output"]["n"] for e in ledger.history(NAME)[1:]]
    assert sorted(numbers) == list(range(400))
    with ledger.connection() as connection:
        assert verify(connection).findings == []


@pytest.mark.slow
@pytest.mark.both_forms
def test_a_commit_whose_answer_was_lost_is_found_and_not_repeated(ledger: Ledger) -> None:
    """The one moment that cannot be seen from outside: committed, and the connection gone before the answer."""
    ledger.create(NAME)
    with losing_one_answer() as lost:
        job = ledger.started(NAME)
    assert lost
    assert job.version == 2
    assert [e.type for e in ledger.history(NAME)] == ["Created", "Started"]
    assert ledger.succeeded(NAME).version == 3


@contextmanager
def losing_one_answer() -> Iterator[list[PGresult]]:
    """Breaks the connection of the next commit after it is committed; yields the list of answers."""
    lost: list[PGresult] = []

    def executed(connection: PGconn) -> PQGen[list[PGresult]]:
        answers: list[PGresult] = yield from execute(connection)
        if answers[-1].ntuples and not lost:
            lost.append(answers[-1])
            connection.finish()
            raise psycopg.OperationalError("the connection broke")
        return answers

    with pytest.MonkeyPatch.context() as patch:
        for module in (appender, async_appender):
            patch.setattr(module, "execute", executed)
        yield lost


def test_ctrl_c_ends_the_wait_for_other_writers(ledger: Ledger) -> None:
    ledger.create(NAME)
    with ledger.connection() as other, other.transaction(force_rollback=True):
        other.execute("SET LOCAL idle_in_transaction_session_timeout = '20s'")
        other.execute(LOCK_HEAD)
        with interrupted_when(partial(is_waiting, other)):
            ledger.started(NAME)
    assert ledger.get(NAME).version == 1
    assert ledger.succeeded(NAME).version == 2


SERVER = """
import sys
from pathlib import Path
from typing import Any
from jobledger.infra.postgres.embedded_server.starting import server_dsn
print(server_dsn(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def own_server() -> Iterator[tuple[str, Path]]:
    """A server of this test's own, kept by another process: (dsn, home)."""
    # Not under pytest's folder, which each new session closes to the server's user.
    with tempfile.TemporaryDirectory(prefix="jobledger-crash-") as home:
        keeper = subprocess.Popen(
            [sys.executable, "-c", SERVER, home],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        dsn = keeper.stdout.readline().strip()
        yield dsn, Path(home)
        # Not by SIGINT, which whoever is started in the background ignores.
        keeper.stdin.close()
        keeper.wait()
        keeper.stdout.close()


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def kill(home: Path) -> None:
    """kill -9 of the whole server: a postmaster that is only killed leaves its children to notice."""
    leader = psutil.Process(postmaster(home))
    # Else a backend begun just now would live on, and wait for ever for what the killed ones held.
    leader.suspend()
    family = [leader, *leader.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=2)
    # Whoever adopted the postmaster may be slow to bury it, and its file then looks alive.
    (home / "postgres" / "postmaster.pid").unlink()


def start_again(home: Path) -> None:
    """Starts the server that was killed, as its supervisor would."""
    code = SERVER.replace("sys.stdin.read()", "import os; os._exit(0)")
    subprocess.run([sys.executable, "-c", code, str(home)], check=True, stdout=subprocess.DEVNULL)


def listed(ledger: Any) -> list[Job]:
    """All jobs; a connection of before the crash may break first."""
    for _ in range(20):
        with suppress(LedgerUnavailableError):
            found: list[Job] = ledger.list()
            return found
        time.sleep(0.2)
    raise AssertionError("the server does not answer again")


@pytest.mark.both_forms
@pytest.mark.slow
def test_after_kill_9_of_the_server_everything_acknowledged_is_there_once(
    own_server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, open_ledger: Opener
) -> None:
    dsn, home = own_server
    monkeypatch.setenv("JOBLEDGER_HOME", str(home))
    acknowledged: dict[str, int] = {}
    stop = threading.Event()
    with open_ledger() as ledger:

        def live(number: int) -> None:
            n = 0
            while not stop.is_set():
                name = f"projects/p/jobs/j{number}-{n}"
                ledger.create(name)
                acknowledged[name] = 1
                acknowledged[name] = ledger.started(name).version
                n += 1

        with ThreadPoolExecutor(16) as pool:
            lives = [pool.submit(live, number) for number in range(16)]
            for _ in range(2):
                time.sleep(1)
                kill(home)
                time.sleep(0.5)
                start_again(home)
            time.sleep(1)
            stop.set()
            for ended in lives:
                ended.result(60)

        stored = {job.name: job.version for job in listed(ledger)}
        assert stored == acknowledged
        assert len(acknowledged) > 100
        with closing(connect(ledger.conninfo)) as connection:
            assert verify(connection).findings == []


@pytest.mark.both_forms
@pytest.mark.slow
def test_an_unreachable_server_is_reported_with_the_unknown_outcome(
    own_server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, open_ledger: Opener
) -> None:
    dsn, home = own_server
    monkeypatch.setenv("JOBLEDGER_HOME", str(home))
    with open_ledger() as ledger:
        ledger.writer.committer._reconnect_timeout = 1.0
        ledger.create(NAME)
        kill(home)
        with pytest.raises(LedgerUnavailableError) as caught:
            ledger.started(NAME, request_id="r1")
        assert caught.value.written in (None, False)
        start_again(home)
        ledger.started(NAME, request_id="r1")
        assert [e.type for e in ledger.history(NAME)] == ["Created", "Started"]


@pytest.mark.slow
def test_a_server_whose_predecessor_is_slow_to_die_starts_when_it_has(
    own_server: tuple[str, Path],
) -> None:
    dsn, home = own_server
    with psycopg.connect(dsn) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        backend.suspend()
        psutil.Process(postmaster(home)).kill()
        (home / "postgres" / "postmaster.pid").unlink()
        burial = threading.Timer(2, backend.kill)
        burial.start()
        start_again(home)
        assert not burial.is_alive()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.slow
@pytest.mark.plain_server
@pytest.mark.both_forms
def test_a_full_disk_raises_an_error_of_the_ledger(ledger: Ledger) -> None:
    """PostgreSQL's own report of a full disk, raised where writing would meet it."""
    ledger.create(NAME)
    with ledger.connection() as connection:
        connection.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON events EXECUTE FUNCTION full_disk()"
        )
    with pytest.raises(StorageFullError, match="No space left"):
        ledger.started(NAME)
    with ledger.connection() as connection:
        connection.execute("DROP TRIGGER full_disk ON events")
    assert ledger.started(NAME).version == 2
