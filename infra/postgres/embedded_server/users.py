"""Who uses the embedded server: each process holds a shared lock on a file next to its data.

The kernel releases a lock when its process ends in any way, so ended processes do not count as users.
"""

import fcntl
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from jobledger.infra.settings import public_environment

WATCHER: Final = Path(__file__).with_name("stop_unused.py")


class ServerUsers:
    """The users of one server. This process is one of them until `leave`."""

    def __init__(self, data: Path, *, waits: bool = True) -> None:
        """`data` is the folder of the server's data.

        Args:
            data: The folder.
            waits: Whether to wait while the server is being stopped.

        Raises:
            BlockingIOError: It is being stopped, and `waits` is false.
            OSError: This user may not open the file.
        """
        self.file = users_file(data)
        self._process = os.getpid()
        self._lock = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_SH if waits else fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BaseException:
            os.close(self._lock)
            raise

    def is_last(self) -> bool:
        """Whether there is no other user; then nobody becomes one until `leave`.

        Returns:
            The answer; False in a forked child, which shares the lock of its parent.
        """
        if os.getpid() != self._process:
            return False
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def leave(self) -> None:
        """Gives the lock back: from now on this process is no user."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def watch(self, stop: list[str], folder: Path | None, user: str | None) -> None:
        """Starts a process that runs the command `stop`, as `user`, when the last user is gone.

        Then it removes `folder`, which was made for the server's socket.
        """
        words = [str(self.file), str(folder or ""), user or "", *stop]
        program = [sys.executable, "-I", "-S", str(WATCHER), *words]
        nothing = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in range(3)]
        # It is not waited for: it outlives this process. Without it, the last user still stops the server.
        with suppress(OSError):
            os.posix_spawn(program[0], program, public_environment(), file_actions=nothing)


def users_file(data: Path) -> Path:
    """The file that users hold a lock on; next to the data, because initdb needs an empty folder."""
    return data.with_name(f"{data.name}.users")


def is_used(data: Path) -> bool:
    """Whether any process uses the server in a folder."""
    try:
        lock = os.open(users_file(data), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
