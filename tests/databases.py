"""The server that tests run on, and a database of it for each process of a test run."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.postgres.embedded_server.starting import server_dsn
from psycopg.conninfo import make_conninfo

GIVEN = "JOBLEDGER_TEST_DSN"
"""The variable that names another server than the embedded one."""
ON_CITUS = "JOBLEDGER_TEST_CITUS_DSN"
"""The variable that names a database of a Citus cluster, through its coordinator."""
_HOME = "JOBLEDGER_TEST_HOME"


def prepare_home() -> None:
    """Makes the folder that all processes of this run share: the embedded server is in it."""
    made = tempfile.mkdtemp(prefix="jobledger-tests-")
    os.environ[_HOME] = made
    # After the server is stopped, which is registered later.
    atexit.register(shutil.rmtree, made, ignore_errors=True)


def home() -> Path:
    """The folder that all processes of this run share."""
    return Path(os.environ[_HOME])


def find_server() -> str:
    """The connection string of the server; the embedded one starts with its first user."""
    return os.environ.get(ON_CITUS) or os.environ.get(GIVEN) or _embedded()


def is_on_citus() -> bool:
    """Whether this run is one on a Citus cluster, where each ledger is on a node."""
    return ON_CITUS in os.environ


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """The connection string of an empty database, which is dropped afterwards; on Citus, of the one that is given."""
    if is_on_citus():
        yield server
        return
    of = str(os.getpid())
    dsn = make_database(server, of)
    try:
        yield dsn
    finally:
        drop_database(server, of)


def make_database(server: str, of: str) -> str:
    """Makes a database of this run; its connection string."""
    _execute(server, f"CREATE DATABASE {_name(of)}")
    return make_conninfo(server, dbname=_name(of))


def copy_database(server: str, of: str, to: str) -> str:
    """Copies a database of this run that nobody uses, as a backup does; the copy's connection string."""
    _execute(server, f"CREATE DATABASE {_name(to)} TEMPLATE {_name(of)}")
    return make_conninfo(server, dbname=_name(to))


def drop_database(server: str, of: str) -> None:
    _execute(server, f"DROP DATABASE IF EXISTS {_name(of)} WITH (FORCE)")


@cache
def _embedded() -> str:
    server = server_dsn(home())
    # Its data need not outlive the machine's power; tests of crashes have servers of their own.
    _execute(server, "ALTER SYSTEM SET fsync = off")
    _execute(server, "SELECT pg_reload_conf()")
    return server


def _name(of: str) -> str:
    return f"{home().name}_{of}".replace("-", "_")


def _execute(server: str, statement: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.encode())


def is_waiting(connection: Connection) -> bool:
    """Whether a session waits for what this one has locked."""
    # A transaction would go on to see what it saw first.
    connection.execute("SELECT pg_stat_clear_snapshot()")
    waiting = "SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    return connection.execute(waiting).fetchone() is not None
