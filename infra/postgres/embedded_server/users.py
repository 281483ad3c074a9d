"""Who uses the embedded server: each process holds a shared lock on a file next to its data.

The kernel releases a lock when its process ends in any way, so ended processes do not count as users.
A forked child is a user of its own: its lock is taken before the fork, as its parent may end at once.
"""

import fcntl
import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final
from weakref import WeakSet

from jobledger.infra.settings import public_environment

WATCHER: Final = Path(__file__).with_name("stop_unused.py")


class ServerUsers:
    """The users of one server. This process is one of them until `leave`, and so is each child that it forks."""

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
        self._lock = self._shared(waits=waits)
        self._lock_of_child = -1
        _HERE.add(self)

    def _shared(self, *, waits: bool) -> int:
        """Takes a shared lock, and returns its file descriptor."""
        lock = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH if waits else fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BaseException:
            os.close(lock)
            raise
        return lock

    def is_last(self) -> bool:
        """Whether there is no other user; then nobody becomes one until `leave`."""
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

    def take_for_child(self) -> None:
        """Takes a lock for the child that is about to be forked, unless the server is being stopped."""
        if self._lock >= 0:
            with suppress(OSError):
                self._lock_of_child = self._shared(waits=False)

    def give_to_child(self, *, is_child: bool) -> None:
        """Leaves that lock to the child, and the other one to its parent."""
        mine, other = self._lock, self._lock_of_child
        if is_child:
            mine, other = other, mine
        self._lock, self._lock_of_child = mine, -1
        if other >= 0:
            os.close(other)

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


_HERE: Final = WeakSet[ServerUsers]()
"""What this process uses."""
_FORKING: Final = Lock()


def _before_fork() -> None:
    _FORKING.acquire()
    for users in list(_HERE):
        users.take_for_child()


def _after_fork(*, is_child: bool) -> None:
    for users in list(_HERE):
        users.give_to_child(is_child=is_child)
    _FORKING.release()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=partial(_after_fork, is_child=False),
    after_in_child=partial(_after_fork, is_child=True),
)
