"""Joins a running embedded server, which is all that most commands need.

The wheel is needed only to start and stop the server; its import takes longer than the rest of a command.
"""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path
from typing import Final, NamedTuple

from jobledger.infra.postgres.embedded_server.rules import missing_rules
from jobledger.infra.postgres.embedded_server.users import ServerUsers

PID_FILE: Final = "postmaster.pid"
_JOINED: Final[dict[Path, ServerUsers]] = {}
"""The servers that this process joined, by the folder of their data."""


class Postmaster(NamedTuple):
    """The content of PostgreSQL's pid file."""

    pid: int
    socket_folder: str
    status: str

    @property
    def dsn(self) -> str:
        """The connection string, in the same form as the wheel's."""
        return f"postgresql://postgres:@/postgres?host={self.socket_folder}"


def join_running(data: Path) -> str | None:
    """Becomes a user of the server in a folder until this process ends.

    Args:
        data: The folder of the server's data.

    Returns:
        The connection string; None unless the server is ready and lets this user in.
    """
    if _is_started_here(data):
        return None
    users = _JOINED.get(data) or _become_user(data)
    if users is None:
        return None
    # From now on the server is only stopped by force.
    if (found := _ready(data)) is None:
        _JOINED.pop(data)
        users.leave()
        return None
    return found.dsn


def _become_user(data: Path) -> ServerUsers | None:
    if _ready(data) is None:
        return None
    try:
        users = _JOINED[data] = ServerUsers(data, waits=False)
    except OSError:  # The server is being stopped, or belongs to another user.
        return None
    atexit.register(_leave, data)
    return users


def _is_started_here(data: Path) -> bool:
    """Whether this process started it, and is its user already."""
    module = sys.modules.get("jobledger.infra.postgres.embedded_server.private_server")
    return module is not None and data in module.PrivateServer._instances  # noqa: SLF001 - as the wheel's get_server


def _ready(data: Path) -> Postmaster | None:
    """Returns the server in a folder, if it is ready and lets this user in."""
    try:
        lines = (data / PID_FILE).read_text().splitlines()
        found = Postmaster(int(lines[0]), lines[4].strip(), lines[7].strip())
        is_ready = found.status == "ready" and found.socket_folder and not missing_rules(data)
    except (OSError, ValueError, IndexError):
        return None
    return found if is_ready and _is_alive(found.pid) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _leave(data: Path) -> None:
    """Stops the server if this process is its last user."""
    users = _JOINED.pop(data, None)
    if users is None:
        return
    if users.is_last():
        from jobledger.infra.postgres.embedded_server.control import stop_unused

        stop_unused(data)
    users.leave()
