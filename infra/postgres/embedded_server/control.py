"""Inspects and stops the embedded server, without starting it or becoming a user of it."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from jobledger.domain.errors import LedgerError
from jobledger.infra.errors import LedgerUnavailableError, ServerInUseError
from jobledger.infra.postgres.embedded_server.users import is_used, users_file
from jobledger.infra.postgres.embedded_server.wheel import data_folder, import_wheel

STOP_TIMEOUT_SECONDS: Final = 60


class ServerUser(NamedTuple):
    """A process that uses the server."""

    pid: int
    command: str


class RunningServer(NamedTuple):
    """The embedded server while it runs."""

    pid: int
    start_time: datetime
    version: str
    """The version of PostgreSQL."""
    data: Path
    dsn: str
    users: tuple[ServerUser, ...]
    """Other processes that use the server."""


def find_running(home: Path) -> RunningServer | None:
    """Returns the running server under `home`, if any; raises LedgerUnavailableError if the wheel is not installed."""
    import_wheel()
    from jobledger.infra.postgres.embedded_server.private_server import postmaster

    data = data_folder(home)
    found = postmaster(data)
    if found is None or not found.is_running():
        return None
    version = (data / "PG_VERSION").read_text().strip()
    return RunningServer(
        found.pid, found.start_time.astimezone(UTC), version, data, found.get_uri(), _users(data)
    )


def stop_running(home: Path, *, force: bool = False) -> RunningServer | None:
    """Stops the server under a folder.

    Args:
        home: The folder.
        force: Stop it even if other processes use it.

    Returns:
        The server that was stopped; None if none ran.

    Raises:
        ServerInUseError: Other processes use it.
    """
    running = find_running(home)
    if running is None:
        return None
    from jobledger.infra.postgres.embedded_server.private_server import stop_command

    with _alone(running.data) as is_alone:
        if not is_alone and not force:
            raise ServerInUseError([user.pid for user in running.users])
        _run_as_owner(stop_command(running.data), running.data)
    return running


def stop_unused(data: Path) -> None:
    """Stops the server in a folder for its last user; if that fails, the watcher stops it."""
    import_wheel()
    from jobledger.infra.postgres.embedded_server.private_server import stop_command

    # The server was stopped, or its folder was deleted, already.
    with suppress(LedgerError, FileNotFoundError):
        _run_as_owner(stop_command(data), data)


def _run_as_owner(command: list[str], data: Path) -> None:
    owner = data.stat().st_uid if os.geteuid() == 0 else None
    try:
        subprocess.run(  # noqa: S603 - our own command
            command, user=owner, check=True, capture_output=True, text=True,
            timeout=STOP_TIMEOUT_SECONDS,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise LedgerError(f"the server was not stopped: {error.stderr.strip()}") from None
    except subprocess.TimeoutExpired:
        raise LedgerUnavailableError(f"it did not stop within {STOP_TIMEOUT_SECONDS} s") from None


@contextmanager
def _alone(data: Path) -> Iterator[bool]:
    """Yields whether the server has no users; if so, no process can begin to use it during the block."""
    lock = os.open(users_file(data), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(lock)


def _users(data: Path) -> tuple[ServerUser, ...]:
    """Returns the processes that have the users' file open, as far as this user may inspect them."""
    import psutil

    file, found = str(users_file(data)), []
    for process in psutil.process_iter() if is_used(data) else ():
        try:
            is_open = file in {each.path for each in process.open_files()}
            words = process.cmdline()
            # The program that stops the unused server has the file as an argument.
            if is_open and process.pid != os.getpid() and file not in words:
                found.append(ServerUser(process.pid, " ".join(words)))
        except psutil.Error:  # The process ended, or belongs to another user.
            continue
    return tuple(found)
