"""Hashes tiles in other processes, while this one reads events from PostgreSQL.

Python hashes rows on one core at a time: hashlib gives others their turn only from 2 kB on. Processes
are started as a file that imports nothing of the package, not forked: the process that verifies may
have threads.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from select import POLLIN, poll
from typing import IO, Final, cast

from jobledger.domain.proof import hashing
from jobledger.infra.errors import ProofError
from jobledger.infra.proof.audit import hash_process
from jobledger.infra.proof.audit.hash_process import HEAD, ROOT_SIZE, request, rows_of
from jobledger.infra.settings import public_environment

MIN_EVENTS: Final = 32_768
"""With fewer events, starting a process takes longer than it saves."""
MAX_PROCESSES: Final = 3
"""More would wait for rows: PostgreSQL sends them from one process."""
MAX_AHEAD_BYTES: Final = 256 * 1024
"""How much a process is given before it has answered, so that it never waits."""
PIPE_BYTES: Final = 1024 * 1024
FOREVER: Final = None
COMMAND: Final = (hash_process.__file__, str(Path(hashing.__file__).parent))


class Task:
    """A tile that was given to a process."""

    def __init__(self, process: HashProcess, request: bytes) -> None:
        self.root: bytes | None = None
        """The answer, once there is one."""
        self.size = len(request)
        self._request = request
        self._process = process

    def wait(self) -> bytes:
        """Returns the answer; raises ProofError if the process ended."""
        while self.root is None:
            self._process.take(wait=True)
        return self.root

    def rows(self) -> list[bytes]:
        """Returns the rows of the tile."""
        _, count, _ = HEAD.unpack_from(self._request)
        return rows_of(self._request[HEAD.size :], count)


class HashProcess:
    """One process."""

    def __init__(self) -> None:
        # In a session of its own: Ctrl-C is for the process that verifies, which ends this one.
        self._process = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-I", "-S", *COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=public_environment(),
            start_new_session=True,
            pipesize=PIPE_BYTES,
        )
        self._requests = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)
        self._poll = poll()
        self._poll.register(self._answers, POLLIN)
        self._tasks = deque[Task]()
        self.ahead = 0
        """Bytes that it was given and has not answered."""

    @property
    def id(self) -> int:
        """The id of the process."""
        return self._process.pid

    def give(self, content: bytes) -> Task:
        """Sends a request."""
        try:
            self._requests.write(content)
            self._requests.flush()
        except BrokenPipeError:
            raise self._failure() from None
        task = Task(self, content)
        self._tasks.append(task)
        self.ahead += task.size
        return task

    def take(self, *, wait: bool) -> None:
        """Takes the answers that are there, or waits for one."""
        while self._tasks and self._poll.poll(FOREVER if wait else 0):
            found = os.read(self._answers.fileno(), ROOT_SIZE)
            if len(found) != ROOT_SIZE:
                raise self._failure()
            task = self._tasks.popleft()
            self.ahead -= task.size
            task.root, wait = found, False

    def close(self) -> None:
        """Ends the process."""
        with suppress(BrokenPipeError):
            self._requests.close()
        self._answers.close()
        self._process.kill()
        self._process.wait()

    def _failure(self) -> ProofError:
        self._process.kill()
        why = f"process {self.id}, which hashed events, ended (status {self._process.wait()}); verify again"
        return ProofError("verification", why)


class HashProcesses:
    """The processes that hash tiles, at most one for each free core."""

    def __init__(self, processes: Sequence[HashProcess]) -> None:
        self._processes = processes

    def give(self, key: bytes, hashes: bytes, rows: Sequence[bytes]) -> Task | None:
        """Gives a tile to a process; None if all have enough to do; raises ProofError if one ended."""
        for process in self._processes:
            process.take(wait=False)
        free = min(self._processes, key=lambda process: process.ahead, default=None)
        if free is None or free.ahead > MAX_AHEAD_BYTES:
            return None
        return free.give(request(key, hashes, rows))


@contextmanager
def hash_processes(events: int) -> Iterator[HashProcesses]:
    """Starts processes to hash this many events: none for few events, or on one core."""
    count = min(MAX_PROCESSES, cores() - 1) if events >= MIN_EVENTS else 0
    # Where Python is part of another program, that is the executable.
    if not Path(sys.executable or "").name.startswith("py"):
        count = 0
    with ExitStack() as ends:
        processes = list[HashProcess]()
        with suppress(OSError):  # No more processes are allowed: this one hashes alone.
            while len(processes) < count:
                processes.append(HashProcess())
                ends.callback(processes[-1].close)
        yield HashProcesses(processes)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
