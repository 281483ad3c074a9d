"""The server that tests run on, and a database of it for each process of a test run."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from jobledger.infra.postgres.embedded import server_dsn
from psycopg.conninfo import make_conninfo

GIVEN = "JOBLEDGER_TEST_DSN"
"""The variable that names another server than the embedded one."""
_HOME = "JOBLEDGER_TEST_HOME"


def prepare_home() -> None:
    """Makes the folder of the embedded server that all processes of this run share."""
    home = tempfile.mkdtemp(prefix="jobledger-tests-")
    os.environ[_HOME] = home
    # After the server is stopped, which is registered later.
    atexit.register(shutil.rmtree, home, ignore_errors=True)


def find_server() -> str:
    """The connection string of the server; the embedded one starts with its first user."""
    given = os.environ.get(GIVEN)
    return given or server_dsn(Path(os.environ[_HOME]))


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """The connection string of an empty database, which is dropped afterwards."""
    name = f"jobledger_test_{os.getpid()}"
    _execute(server, f"CREATE DATABASE {name}")
    try:
        yield make_conninfo(server, dbname=name)
    finally:
        _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(server: str, statement: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.encode())
