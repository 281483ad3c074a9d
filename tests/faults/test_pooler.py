"""Pgbouncer between the ledger and its server: session mode works; other modes are refused with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from jobledger import Ledger, PoolerError
from jobledger.infra.postgres import pooler
from jobledger.infra.upkeep.verify import verify
from psycopg.conninfo import make_conninfo

from tests.clusters import Cluster, as_user, new_cluster, new_folder, own
from tests.schemas import make_ledger

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PGBOUNCER is None and os.environ.get("CI") != "true", reason="pgbouncer is not installed"
    ),
]
IGNORE = "ignore_startup_parameters = options, extra_float_digits"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with new_cluster() as made:
        yield made


@pytest.fixture
def name(cluster: Cluster) -> str:
    return make_ledger(cluster.dsn)


@contextmanager
def bouncer(cluster: Cluster, *settings: str) -> Iterator[str]:
    """The connection string of a pgbouncer in front of a server."""
    assert PGBOUNCER is not None, "install pgbouncer"
    with new_folder() as folder:
        config = folder / "pgbouncer.ini"
        lines = [
            "[databases]", f"* = host={cluster.folder} port=5432", "[pgbouncer]", "listen_addr =",
            f"unix_socket_dir = {folder}", "listen_port = 6432", "auth_type = trust", f"auth_file = {folder}/users",
            "max_client_conn = 200", "default_pool_size = 30", *settings,
        ]  # fmt: skip
        config.write_text("\n".join(lines) + "\n")
        (folder / "users").write_text('"postgres" ""\n')
        for file in (config, folder / "users"):
            own(file)
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [PGBOUNCER, str(config)], stdout=log, stderr=log, **as_user()
            )
        try:
            dsn = make_conninfo(
                host=str(folder), port=6432, user="postgres", dbname="postgres", client_encoding="utf8"
            )  # fmt: skip
            _wait_for(process, folder)
            yield dsn
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Waits until it listens; it may take long to get its turn on a busy machine."""
    for _ in range(1_200):
        if (folder / ".s.PGSQL.6432").exists():
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise TimeoutError((folder / "log").read_text())


def test_session_mode_works_whatever_the_pooler_does_with_options(
    cluster: Cluster, name: str
) -> None:
    with bouncer(cluster, "pool_mode = session", IGNORE) as dsn, Ledger.open(dsn, name) as ledger:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: ledger.create(f"projects/p/jobs/j{n}"), range(200)))
        assert ledger.count(as_of="now").counts == {"QUEUED": 200}
        with ledger.connection() as connection:
            assert verify(connection).findings == []
            assert connection.execute("SHOW TimeZone").fetchone() == ("UTC",)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("more", ["server_round_robin = 0", "server_round_robin = 1", "default_pool_size = 1"])  # fmt: skip
def test_other_modes_are_refused_when_the_ledger_is_opened(
    cluster: Cluster, name: str, mode: str, more: str
) -> None:
    with (
        bouncer(cluster, f"pool_mode = {mode}", IGNORE, more) as dsn,
        pytest.raises(PoolerError, match="pool_mode = session"),
    ):
        Ledger.open(dsn, name).close()
    with Ledger.open(cluster.dsn, name) as ledger:
        assert ledger.size() == 0


def test_a_pooler_that_refuses_options_is_named_with_what_to_set(
    cluster: Cluster, name: str
) -> None:
    with (
        bouncer(cluster, "pool_mode = session") as dsn,
        pytest.raises(PoolerError, match="ignore_startup_parameters = options"),
    ):
        Ledger.open(dsn, name)


def test_a_busy_pool_in_session_mode_is_not_taken_for_transaction_mode(
    cluster: Cluster, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second client waits for a session that the first one keeps."""
    monkeypatch.setattr(pooler, "PROBE_TIMEOUT_SECONDS", 0.5)
    settings = "pool_mode = session", IGNORE, "default_pool_size = 1"
    with bouncer(cluster, *settings) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        assert row[0] != connection.info.backend_pid
        pooler.check_pooler(connection, row[0])
        with suppress(psycopg.Error):
            connection.execute("SELECT 1")
