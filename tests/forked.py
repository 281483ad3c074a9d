"""Commands that a process forks which has loaded the program, instead of one that has to load it."""

from __future__ import annotations

import atexit
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from select import select
from typing import IO

from tests.checkout import TESTS
from tests.forker import Asked, Command

FORKER = TESTS / "forker.py"
COMMANDS = (
    "jobledger.infra.cli.app", "jobledger.infra.cli.context", "jobledger.infra.cli.printer",
    "jobledger.infra.cli.jobs.list", "jobledger.infra.cli.jobs.read", "jobledger.infra.cli.proof.verify",
    "jobledger.infra.cli.server.operate", "jobledger.infra.cli.server.serve", "jobledger.infra.http.serve",
    "jobledger.infra.postgres.cancellable_pool", "jobledger.infra.postgres.embedded_server.starting",
    "jobledger.infra.postgres.migrations", "cryptography.hazmat.primitives.asymmetric.ed25519",
    "encodings.idna", "pydantic.v1", "rich.progress", "uvicorn.lifespan.off",
    "uvicorn.protocols.websockets.auto",
)  # fmt: skip
"""What most commands load, and a server."""
PROGRAM = str(Path(sys.executable).parent / "jobledger")


class Forked:
    """A process that runs `jobledger`, with those methods of `subprocess.Popen` that tests use."""

    def __init__(self, path: str, command: Command) -> None:
        """Runs the command without stdin; `stderr` gives what it logs."""
        read, write = os.pipe()
        with Path(os.devnull).open("rb+") as null:
            self._asked = Asked(path, command, (null.fileno(), null.fileno(), write))
        os.close(write)
        self.stderr: IO[str] = os.fdopen(read, encoding="utf-8")
        self.pid = self._asked.pid
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end, so many seconds; its exit code."""
        if self.returncode is None:
            if not select([self._asked.connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("jobledger", timeout or 0)
            self.returncode = self._asked.wait()
            self._asked.close()
        return self.returncode

    def poll(self) -> int | None:
        """Its exit code, or None if it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, sig: int) -> None:
        """Sends it a signal if it runs."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextmanager
def forking(python: Path, *modules: str) -> Iterator[str]:
    """The socket of a process of that interpreter that has loaded `COMMANDS`, and other modules."""
    with tempfile.TemporaryDirectory(prefix="forker-") as folder:
        path = f"{folder}/socket"
        words = [str(python), "-P", str(FORKER), "serve", path, *COMMANDS, *modules]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"listening\n"
            yield path


def write_forked_program(program: Path, path: str, what: str = "run") -> None:
    """Writes a program that runs `jobledger` in a process of the forker at `path`; or code, for "exec"."""
    words = shlex.join([sys.executable, "-IS", str(FORKER), what, path])
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    program.chmod(0o755)


@cache
def forker_of_servers() -> str:
    """The socket of the process that forks servers for the tests of this one, and ends with it."""
    kept = ExitStack()
    path = kept.enter_context(forking(Path(sys.executable)))
    atexit.register(kept.close)
    return path


def start(words: list[str], environment: dict[str, str]) -> Forked:
    """Starts `jobledger` with these arguments."""
    command = Command([PROGRAM, *words], environment, str(Path.cwd()))
    return Forked(forker_of_servers(), command)
